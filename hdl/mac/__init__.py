"""MAC arrays."""
