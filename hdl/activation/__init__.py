"""Requantize and GELU."""
