"""Properties of the hardware that hold for every input, proved with the model checkers inside Yosys."""
