"""Amaranth components: streams, fixed point, fabric primitives and the units built from them."""
