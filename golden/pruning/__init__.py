"""Pruning of float models: weights and heads that are 0, training that keeps them, and the bytes that are left."""
