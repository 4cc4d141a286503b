"""Frozen dataclasses that hold every parameter and derive every width."""
