"""The quantized softmax unit."""
