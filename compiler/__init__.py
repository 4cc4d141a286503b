"""From an integer ViT to the model stream: layers, addresses, operands, words; and what can be read from a stream."""
