"""The boards that a bitstream can be made for."""

from collections.abc import Callable
from dataclasses import dataclass

from vitric.toolchain.parts import PARTS, Part

__all__ = ["BOARDS", "Board", "find_board"]


@dataclass(frozen=True, kw_only=True)
class Board:
    """One legal value of ``BOARD``.

    Attributes
    ----------
    name : str
    title : str
        For people.
    part : Part
    loader : str
        Name of the board for openFPGALoader.
    clock_mhz : float
        Clock of the system unless chosen otherwise.
    baud : int
        Of the serial line.
    module, platform : str
        Module with the platform's class and with ``Top``; name of that class.
    """

    name: str
    title: str
    part: Part
    loader: str
    clock_mhz: float = 50.0
    baud: int = 1_000_000
    module: str
    platform: str

    def _member(self, name: str) -> Callable:
        from importlib import import_module

        return getattr(import_module(self.module), name)

    def make_platform(self):
        """Return a new platform of Amaranth."""
        return self._member(self.platform)()

    def make_top(self, system, clock_mhz: float):
        """Return the design with its pins, and the settings of the clock nearest to ``clock_mhz``.

        ``system`` is called with the clock's frequency in Hz and must return the
        :class:`~vitric.boards.system.System`.
        """
        from vitric.hdl.fabric.pll import pll_settings

        pll = pll_settings(self._member("INPUT_MHZ"), clock_mhz)
        return self._member("Top")(system(pll.output_hz), pll), pll


def _ulx3s(name: str, size: str) -> Board:
    part = PARTS[f"ecp5-{size.lower().replace('f', 'k')}"]
    return Board(name=name, title=f"ULX3S with {part.name}", part=part, loader="ulx3s", module="vitric.boards.ulx3s",
                 platform=f"Ulx3s{size}")


BOARDS = {board.name: board for board in (
    _ulx3s("ulx3s", "85F"), _ulx3s("ulx3s_12f", "12F"), _ulx3s("ulx3s_25f", "25F"), _ulx3s("ulx3s_45f", "45F"),
)}
"""By name. ``ulx3s`` is the one with the largest part."""


def find_board(name: str) -> Board:
    """Return the board called ``name``; raise :exc:`ValueError` listing the legal names if there is none."""
    if name not in BOARDS:
        raise ValueError(f"board must be one of {', '.join(BOARDS)}, not {name!r}")
    return BOARDS[name]
