"""Published integer approximations of softmax, GELU and LayerNorm: references to compare error with, run by nothing."""
