"""The LayerNorm unit."""
