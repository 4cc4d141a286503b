"""Platforms that amaranth-boards does not have, or not with the resources of :class:`~vitric.boards.top.Top`."""

from amaranth.build import Attrs, Clock, Pins, PinsN, Resource, Subsignal
from amaranth.vendor import LatticeECP5Platform
from amaranth_boards.icepi_zero import IcepiZero1_3Platform
from amaranth_boards.resources import LEDResources, UARTResource

__all__ = ["ColorlightI5Platform", "IcepiZeroPlatform"]

_IO = Attrs(IO_TYPE="LVCMOS33")


class IcepiZeroPlatform(IcepiZero1_3Platform):
    """Icepi Zero 1.3, its flash without the clock: that pin is no user's, the cell USRMCLK drives it."""

    resources = (
        *(one for one in IcepiZero1_3Platform.resources if not one.name.startswith("spi_flash")),
        Resource("spi_flash", 0,
                 Subsignal("cs", PinsN("N8", dir="o")), Subsignal("copi", Pins("T8", dir="o")),
                 Subsignal("cipo", Pins("T7", dir="i")), Subsignal("hold", PinsN("N7", dir="o")),
                 Subsignal("wp", PinsN("M7", dir="o")),
                 Attrs(IO_TYPE="LVCMOS33", DRIVE="4", PULLMODE="NONE")),
    )


class ColorlightI5Platform(LatticeECP5Platform):
    """Colorlight i5 7.0 on its extension board, whose debugger has the serial line (J17, H18).

    Its SDRAM, EM638325, is 32 bits wide, and ``dq`` is the lower half of it; select, clock enable and masks are tied on
    the board. The flash has no pins of the user's for four lanes and is left out. Pins are those of
    ``litex_boards/platforms/colorlight_i5.py``.
    """

    device, package, speed = "LFE5U-25F", "BG381", "6"
    default_clk = "clk25"
    resources = (
        Resource("clk25", 0, Pins("P3", dir="i"), Clock(25e6), _IO),
        *LEDResources(pins="U16", invert=True, attrs=_IO),
        UARTResource(0, rx="H18", tx="J17", attrs=_IO),
        Resource("sdram", 0,
                 Subsignal("clk", Pins("B9", dir="o")), Subsignal("we", PinsN("A10", dir="o")),
                 Subsignal("ras", PinsN("B10", dir="o")), Subsignal("cas", PinsN("A9", dir="o")),
                 Subsignal("ba", Pins("B11 C8", dir="o")),
                 Subsignal("a", Pins("B13 C14 A16 A17 B16 B15 A14 A13 A12 A11 B12", dir="o")),
                 Subsignal("dq", Pins("D15 E14 E13 D12 E12 D11 C10 B17 B8 A8 C7 A7 A6 B6 A5 B5", dir="io")),
                 Attrs(IO_TYPE="LVCMOS33", SLEWRATE="FAST")),
    )
    connectors = ()
