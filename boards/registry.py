"""The boards that a bitstream can be made for: data on top of platforms, those of amaranth-boards and our own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from vitric.toolchain.parts import PARTS, Part

if TYPE_CHECKING:
    from vitric.golden.spec.flash import FlashSpec
    from vitric.golden.spec.sdram import SdramSpec
    from vitric.golden.spec.sdram_pins import PinTiming
    from vitric.hdl.fabric.pll import PllSettings

    from .system import System
    from .top import Top

__all__ = ["BOARDS", "Board", "find_board", "smallest_board"]


@dataclass(frozen=True, kw_only=True)
class Board:
    """One legal value of ``BOARD``.

    Attributes
    ----------
    name : str
    title : str
        For people.
    part : Part
        With the package and speed grade of the board.
    platform : str
        Module and name of the platform's class, ``"amaranth_boards.ulx3s:ULX3S_85F_Platform"`` or one of
        :mod:`vitric.boards.platforms`: pins and resources.
    clock : str
        Resource of the oscillator.
    input_mhz : float
        Its frequency.
    leds : int
        LEDs, at most 8.
    loader : tuple of str
        How openFPGALoader finds the board: its name there, or the cable that it has.
    clock_mhz : float
        Clock of the system unless chosen otherwise.
    baud : int
        Of the serial line.
    sdram : mapping of str to int, optional
        Parameters of the :class:`~vitric.golden.spec.sdram.SdramSpec` of the chip on the board, but for clock and
        burst; None if there is none.
    sdram_mhz : float
        Its clock.
    pins : mapping of str to float, optional
        Parameters of the :class:`~vitric.golden.spec.sdram_pins.PinTiming` of the SDRAM's pins, where they are not
        those of an ECP5.
    flash : mapping, optional
        Parameters of the :class:`~vitric.golden.spec.flash.FlashSpec` of the chip that the part is configured from, but
        for the clock; None if models are not looked for there.
    """

    name: str
    title: str
    part: Part
    platform: str
    clock: str
    input_mhz: float
    leds: int
    loader: tuple[str, ...]
    clock_mhz: float = 50.0
    baud: int = 1_000_000
    sdram: Mapping[str, int] | None = None
    sdram_mhz: float = 100.0
    pins: Mapping[str, float] = field(default_factory=dict)
    flash: Mapping[str, object] | None = None

    @property
    def product(self) -> str:
        """Name of a bitstream's file."""
        return self.part.family.packer.product

    def make_platform(self):
        """Return a new platform of Amaranth; a build plan of it asks for no tools, which are started elsewhere."""
        module, _, name = self.platform.partition(":")
        kind = getattr(import_module(module), name)
        return type(name, (kind,), {"required_tools": ()})()

    def pll(self, clock_mhz: float) -> "PllSettings":
        """Return the settings of the clock nearest to ``clock_mhz``; raise :exc:`ValueError` if it is out of range."""
        from vitric.hdl.fabric.pll import pll_settings

        return pll_settings(self.part.family.name, self.input_mhz, clock_mhz, **self.part.pll)

    @property
    def pin_timing(self) -> "PinTiming":
        """Delays of the pins of the SDRAM."""
        from vitric.golden.spec.sdram_pins import PinTiming

        return PinTiming(**self.pins)

    def sdram_spec(self, model_bits: int) -> "SdramSpec":
        """Return the board's SDRAM with lines as wide as model words; :exc:`ValueError` if there is none."""
        from vitric.golden.spec.sdram import BUS_BITS, SdramSpec

        if self.sdram is None:
            raise ValueError(f"{self.title} has no SDRAM")
        return SdramSpec(clock_hz=self.pll(self.sdram_mhz).output_hz, burst=model_bits // BUS_BITS, **self.sdram)

    def flash_spec(self, clock_hz: int) -> "FlashSpec | None":
        """Return the board's flash for a system with this clock, if models are looked for there."""
        from vitric.golden.spec.flash import FlashSpec

        return None if self.flash is None else FlashSpec(clock_hz=clock_hz, **self.flash)

    def make_top(self, system: "Callable[[int], System]", clock_mhz: float) -> "Top":
        """Return the design with its pins, and a clock as near to ``clock_mhz`` as can be.

        ``system`` is called with the clock's frequency in Hz and must return the
        :class:`~vitric.boards.system.System`.
        """
        from .top import Top

        pll = self.pll(clock_mhz)
        return Top(system(pll.output_hz), pll, clock=self.clock, leds=self.leds,
                   sdram_pll=self.pll(self.sdram_mhz), pin_timing=self.pin_timing)


_FLASH_16_MB = MappingProxyType({"size": 1 << 24, "slots": (0x40_0000, 0xA0_0000)})  # behind bitstream and bootloader
_SDRAM_32_MB = MappingProxyType({"row_bits": 13, "column_bits": 9})  # a ULX3S with 64 MB has these, too


_FABRIC_PINS = MappingProxyType({"data_out": 6.0, "clock_out": 3.5, "data_in": 4.0, "setup": 0.3, "hold": 0.0,
                                 "board": 0.05, "uncertain": 1.0})
"""Registers in the fabric, in ns. These are assumed: Apicula's database has no delays of pins to take them from."""


def _ulx3s(name: str, size: str) -> Board:
    part = PARTS[f"ecp5-{size.lower().replace('f', 'k')}"]
    return Board(name=name, title=f"ULX3S with {part.name}", part=part, loader=("-b", "ulx3s"), clock="clk25",
                 input_mhz=25.0, leds=8, platform=f"amaranth_boards.ulx3s:ULX3S_{size}_Platform", sdram=_SDRAM_32_MB,
                 flash=_FLASH_16_MB)


def _colorlight(model: str, size: str) -> Board:
    sdram = MappingProxyType({"row_bits": 11, "column_bits": 8})  # half of the words of a chip of 8 MB
    return Board(name=f"colorlight_{model}", title=f"Colorlight {model}", part=PARTS[f"ecp5-{size[:2]}k"],
                 loader=("-b", f"colorlight-{model}"), clock="clk25", input_mhz=25.0, leds=1,
                 platform=f"vitric.boards.platforms:Colorlight{model.upper()}Platform", sdram=sdram)


def _orangecrab(size: str) -> Board:
    return Board(name="orangecrab" if size == "25F" else f"orangecrab_{size.lower()}",
                 title=f"OrangeCrab r0.2 with LFE5U-{size}", part=PARTS[f"ecp5-{size[:2]}k-285"],
                 loader=("-b", "orangeCrab"), clock="clk", input_mhz=48.0, leds=3, clock_mhz=48.0,
                 platform=f"vitric.boards.platforms:OrangeCrab{size}Platform")


BOARDS = {board.name: board for board in (
    _ulx3s("ulx3s", "85F"), _ulx3s("ulx3s_12f", "12F"), _ulx3s("ulx3s_25f", "25F"), _ulx3s("ulx3s_45f", "45F"),
    Board(name="icepi_zero", title="Icepi Zero", part=PARTS["ecp5-25k-256"], loader=("-b", "icepi-zero"),
          clock="clk50", input_mhz=50.0, leds=5, platform="vitric.boards.platforms:IcepiZeroPlatform",
          sdram=_SDRAM_32_MB, flash=_FLASH_16_MB),
    Board(name="icesugar_pro", title="IceSugar Pro", part=PARTS["ecp5-25k-256"],
          loader=("-c", "cmsisdap", "--vid", "0x1d50", "--pid", "0x602b"), clock="clk25", input_mhz=25.0, leds=3,
          platform="vitric.boards.platforms:IceSugarProPlatform", sdram=_SDRAM_32_MB, flash=_FLASH_16_MB),
    _colorlight("i5", "25F"), _colorlight("i9", "45F"), _orangecrab("25F"), _orangecrab("85F"),
    Board(name="tang_nano_20k", title="Tang Nano 20K", part=PARTS["gw2ar-18"], loader=("-b", "tangnano20k"),
          clock="clk27", input_mhz=27.0, leds=6, clock_mhz=81.0, sdram_mhz=81.0,
          platform="vitric.boards.platforms:TangNano20kPlatform",
          sdram=MappingProxyType({"row_bits": 11, "column_bits": 8}), pins=_FABRIC_PINS),
    Board(name="tang_nano_9k", title="Tang Nano 9K", part=PARTS["gw1nr-9"], loader=("-b", "tangnano9k"),
          clock="clk27", input_mhz=27.0, leds=6, clock_mhz=27.0,
          platform="amaranth_boards.tang_nano_9k:TangNano9kPlatform"),
)}
"""By name. ``ulx3s`` is the one with the largest part."""


def smallest_board(would_do: Callable[[Board], bool], otherwise: str) -> str:
    """Return a hint: the board with the fewest look-up tables that ``would_do``, or ``otherwise``."""
    found = sorted(filter(would_do, BOARDS.values()), key=lambda board: (board.part.lut4, board.part.bram))
    return f"the smallest board that would do is {found[0].name}" if found else otherwise


def find_board(name: str) -> Board:
    """Return the board called ``name``; raise :exc:`ValueError` listing the legal names if there is none."""
    if name not in BOARDS:
        raise ValueError(f"board must be one of {', '.join(BOARDS)}, not {name!r}")
    return BOARDS[name]
