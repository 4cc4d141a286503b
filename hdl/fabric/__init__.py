"""Primitives of FPGA fabrics, each with a twin in plain Amaranth that has the same ports and function."""

__all__ = ["FABRICS"]

FABRICS = "generic", "ecp5", "ice40", "gowin"
"""What hardware can be built of, the legal values of every ``fabric``: expressions that any tool takes, or cells of one
family of parts where they are better. What is built of cells holds Instances and cannot be simulated by Amaranth."""
