"""Platforms that amaranth-boards does not have, or not with the resources of :class:`~vitric.boards.top.Top`."""

from collections.abc import Iterable

from amaranth.build import Attrs, Clock, Pins, PinsN, Resource, Subsignal
from amaranth.vendor import GowinPlatform, LatticeECP5Platform
from amaranth_boards.icepi_zero import IcepiZero1_3Platform
from amaranth_boards.icesugar_pro import ICESugarProPlatform
from amaranth_boards.orangecrab_r0_2 import OrangeCrabR0_2_25FPlatform, OrangeCrabR0_2_85FPlatform
from amaranth_boards.resources import LEDResources, UARTResource

__all__ = ["ColorlightI5Platform", "ColorlightI9Platform", "IceSugarProPlatform", "IcepiZeroPlatform",
           "OrangeCrab25FPlatform", "OrangeCrab85FPlatform", "TangNano20kPlatform"]

_IO = Attrs(IO_TYPE="LVCMOS33")
_GOWIN_IO = Attrs(IO_TYPE="LVCMOS33", PULL_MODE="UP")


_FLASH = Resource(
    "spi_flash", 0, Subsignal("cs", PinsN("N8", dir="o")), Subsignal("copi", Pins("T8", dir="o")),
    Subsignal("cipo", Pins("T7", dir="i")), Subsignal("hold", PinsN("N7", dir="o")),
    Subsignal("wp", PinsN("M7", dir="o")), Attrs(IO_TYPE="LVCMOS33", DRIVE="4", PULLMODE="NONE"))
"""Of the 256-ball package, without the clock: that pin is no user's, the cell USRMCLK drives it."""


def _without(resources: Iterable[Resource], *names: str) -> tuple[Resource, ...]:
    """Return the resources but those whose name begins with one of ``names``."""
    return tuple(one for one in resources if not one.name.startswith(names))


class IcepiZeroPlatform(IcepiZero1_3Platform):
    """Icepi Zero 1.3, its flash without the clock."""

    resources = (*_without(IcepiZero1_3Platform.resources, "spi_flash"), _FLASH)


class IceSugarProPlatform(ICESugarProPlatform):
    """IceSugar Pro, the colours of its LED as three LEDs, its flash without the clock.

    The serial line is that of the debugger on the module's own USB socket.
    """

    resources = (
        *_without(ICESugarProPlatform.resources, "spi_flash", "rgb_led"), _FLASH,
        *LEDResources(pins="B11 A11 A12", invert=True, attrs=_IO))


_FEATHER = (UARTResource(0, rx="N17", tx="M18", attrs=_IO), *LEDResources(pins="K4 M3 J3", invert=True, attrs=_IO))
"""Serial line of the OrangeCrab at the pins 0 (into it) and 1 of its Feather header, and the colours of its LED."""


class OrangeCrab25FPlatform(OrangeCrabR0_2_25FPlatform):
    """OrangeCrab r0.2 with an adapter for a serial line at the pins 0 and 1 of its Feather header."""

    resources = (*_without(OrangeCrabR0_2_25FPlatform.resources, "rgb_led"), *_FEATHER)


class OrangeCrab85FPlatform(OrangeCrabR0_2_85FPlatform):
    """The same with the larger part."""

    resources = (*_without(OrangeCrabR0_2_85FPlatform.resources, "rgb_led"), *_FEATHER)


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


class ColorlightI9Platform(ColorlightI5Platform):
    """Colorlight i9 7.2: the larger part, and another pin for the LED."""

    device = "LFE5U-45F"
    resources = (*_without(ColorlightI5Platform.resources, "led"), *LEDResources(pins="L2", invert=True, attrs=_IO))


class TangNano20kPlatform(GowinPlatform):
    """Tang Nano 20K, whose debugger has the serial line.

    The SDRAM lies in the part's own package and is 32 bits wide; ``dq`` is the lower half of it. Its pins have no
    numbers: they are named by side, row and half as Apicula's database of the part has them. The masks of the upper
    half are left alone, so that the pull-up of unused pins holds them.
    """

    part, family = "GW2AR-LV18QN88C8/I7", "GW2AR-18C"
    default_clk = "clk27"
    resources = (
        Resource("clk27", 0, Pins("4", dir="i"), Clock(27e6), _GOWIN_IO),
        *LEDResources(pins="15 16 17 18 19 20", invert=True, attrs=_GOWIN_IO),
        UARTResource(0, rx="70", tx="69", attrs=_GOWIN_IO),
        Resource("sdram", 0,
                 Subsignal("clk", Pins("IOR11B", dir="o")), Subsignal("clk_en", Pins("IOL13A", dir="o")),
                 Subsignal("cs", PinsN("IOL14B", dir="o")), Subsignal("we", PinsN("IOL12B", dir="o")),
                 Subsignal("ras", PinsN("IOL13B", dir="o")), Subsignal("cas", PinsN("IOL14A", dir="o")),
                 Subsignal("ba", Pins("IOR13A IOR12A", dir="o")),
                 Subsignal("a", Pins("IOR14A IOR13B IOR14B IOR15A IOL16B IOL17B IOL16A IOL17A IOL15B IOL15A IOR12B",
                                     dir="o")),
                 Subsignal("dq", Pins("IOL3A IOL3B IOL8A IOL8B IOL9A IOL9B IOL11A IOL11B IOR9B IOR9A IOR5B IOR6A IOR5A "
                                      "IOR4B IOR3B IOR3A", dir="io")),
                 Subsignal("dqm", Pins("IOL12A IOR11A", dir="o")), _GOWIN_IO),
    )
    connectors = ()
