"""Primitives of FPGA fabrics, each with a twin in plain Amaranth that has the same ports and function."""
