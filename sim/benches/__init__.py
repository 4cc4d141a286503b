"""cocotb tests: one module for each unit, for the accelerator and for the board."""
