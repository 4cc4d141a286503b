"""From a float ViT and calibration images to an integer ViT."""
