"""vitric inside other people's designs: AXI4-Stream and AXI4-Lite, LiteX, FuseSoC."""
