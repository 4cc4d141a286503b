"""The ULX3S boards: a :class:`~vitric.boards.system.System` behind USB-UART and LEDs, clocked by a PLL."""

from amaranth.build import Platform
from amaranth.hdl import ClockDomain, Elaboratable, Module, Signal
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer
from amaranth_boards import ulx3s
from vitric.hdl.fabric.pll import PllSettings, ehxplll

from .system import System

__all__ = ["INPUT_MHZ", "Top", "Ulx3s12F", "Ulx3s25F", "Ulx3s45F", "Ulx3s85F"]

INPUT_MHZ = 25.0
"""The oscillator of the board."""


class _BuildOptions:
    """What the project changes in the platforms of amaranth-boards."""

    @property
    def required_tools(self):
        return [tool for tool in super().required_tools if tool != "openFPGALoader"]  # a build does not load


class Ulx3s12F(_BuildOptions, ulx3s.ULX3S_12F_Platform):
    """ULX3S with an LFE5U-12F."""


class Ulx3s25F(_BuildOptions, ulx3s.ULX3S_25F_Platform):
    """ULX3S with an LFE5U-25F."""


class Ulx3s45F(_BuildOptions, ulx3s.ULX3S_45F_Platform):
    """ULX3S with an LFE5U-45F."""


class Ulx3s85F(_BuildOptions, ulx3s.ULX3S_85F_Platform):
    """ULX3S with an LFE5U-85F."""


class Top(Elaboratable):
    """The pins of the board, the PLL, reset until it has locked, and the system.

    Parameters
    ----------
    system : System
    pll : PllSettings
        From :data:`INPUT_MHZ` to the clock of the system.
    """

    def __init__(self, system: System, pll: PllSettings):
        self.system = system
        self.pll = pll

    def elaborate(self, platform: Platform):
        """Return the module."""
        m = Module()
        m.submodules.clock_buffer = clock = io.Buffer("i", platform.request("clk25", dir="-"))
        locked = Signal()
        m.domains.sync = sync = ClockDomain()
        m.submodules.pll = ehxplll(self.pll, clock_in=clock.i, clock_out=sync.clk, locked=locked)
        m.submodules.reset = ResetSynchronizer(~locked)

        m.submodules.system = system = self.system
        uart = platform.request("uart", dir={"rx": "-", "tx": "-", "rts": "-", "dtr": "-"})
        m.submodules.rx_buffer = rx = io.Buffer("i", uart.rx)
        m.submodules.tx_buffer = tx = io.Buffer("o", uart.tx)
        m.d.comb += [system.rx.eq(rx.i), tx.o.eq(system.tx)]
        for number in range(8):
            m.submodules[f"led_buffer_{number}"] = led = io.Buffer("o", platform.request("led", number, dir="-"))
            m.d.comb += led.o.eq(system.leds[number])
        return m
