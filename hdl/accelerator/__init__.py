"""The machine that reads a model stream and runs a whole ViT."""
