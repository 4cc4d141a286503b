"""vitric in a SoC of LiteX: the module, a driver in C, and a SoC for simulation. Needs the extra ``litex``."""
