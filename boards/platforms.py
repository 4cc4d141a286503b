"""Platforms that amaranth-boards does not have, or not with the resources of :class:`~vitric.boards.top.Top`."""

from amaranth.build import Attrs, Pins, PinsN, Resource, Subsignal
from amaranth_boards.icepi_zero import IcepiZero1_3Platform

__all__ = ["IcepiZeroPlatform"]


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
