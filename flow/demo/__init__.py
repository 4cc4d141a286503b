"""The hardware in a browser: drawn or dropped pictures through the simulated accelerator, or a board."""
