"""What rounding costs: simulated quantization, errors layer by layer, widths under a budget."""
