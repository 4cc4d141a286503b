# amaranth: UnusedElaboratable=no
from types import SimpleNamespace

import pytest
from amaranth.back import rtlil
from amaranth.hdl import IOPort
from amaranth.lib import io
from vitric.hdl.memory.flash_pins import FlashPins


@pytest.mark.parametrize("invert", [False, True])
def test_lanes_have_the_levels_of_the_wire(invert):
    """Whether their ports are inverted, as write protection and hold are, or not; and both directions."""
    names = {"cs": True, "copi": False, "cipo": False, "wp": invert, "hold": invert}
    ports = {name: IOPort(1, name=name) for name in names}
    pins = FlashPins(SimpleNamespace(**{
        name: io.SingleEndedPort(ports[name], invert=inverted, direction="i" if name == "cipo" else "o")
        for name, inverted in names.items()}))
    text = rtlil.convert(pins, name="top", ports=[
        *ports.values(), pins.pins.as_value(), pins.dq])
    assert text.count("cell \\USRMCLK ") == 1
    assert text.count("cell $xor ") == 1  # chip select
    assert text.count("cell $tribuf ") == 4
