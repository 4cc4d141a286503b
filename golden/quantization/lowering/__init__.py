"""From a float ViT and calibration images to the integer layers."""
