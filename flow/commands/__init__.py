"""The commands of `vitric`, one module for each, with its name."""
