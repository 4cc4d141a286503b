"""Choosing an accelerator for a model and a board: `vitric fit`."""
