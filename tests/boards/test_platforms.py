from amaranth.build import Subsignal
from amaranth_boards.icepi_zero import IcepiZero1_3Platform
from vitric.boards.platforms import ColorlightI5Platform, IcepiZeroPlatform


def named(platform):
    return {(one.name, one.number): one for one in platform.resources}


def test_icepi_zero_is_that_of_amaranth_boards_but_for_the_flash():
    """Its lanes are on the pins of the resource with a clock, which is not a pin of the user's."""
    theirs, ours = named(IcepiZero1_3Platform), named(IcepiZeroPlatform)
    assert set(theirs) - set(ours) == {("spi_flash_1x", 0), ("spi_flash_2x", 0), ("spi_flash_4x", 0)}
    assert set(ours) - set(theirs) == {("spi_flash", 0)}
    lanes = {io.name: io.ios[0] for io in theirs["spi_flash_1x", 0].ios}
    for io in ours["spi_flash", 0].ios:
        pins = lanes.pop(io.name)
        assert (io.ios[0].names, io.ios[0].invert, io.ios[0].dir) == (pins.names, pins.invert, pins.dir)
    assert set(lanes) == {"clk"}


def test_no_pin_of_the_colorlight_is_used_twice():
    pins = [pin for one in ColorlightI5Platform.resources
            for part in (one.ios if isinstance(one.ios[0], Subsignal) else [one])
            for pin in part.ios[0].names]
    assert len(pins) == len(set(pins)) == 1 + 1 + 2 + (1 + 3 + 2 + 11 + 16)
