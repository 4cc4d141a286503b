"""Projects: a file ``vitric.toml`` that names weights, data, quantization, accelerator and board; and what follows."""
