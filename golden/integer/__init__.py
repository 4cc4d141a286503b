"""The integer ViT and the integer functions its units compute."""
