"""The top level of a bitstream: a :class:`~vitric.boards.system.System` behind the board's pins, clocked by a PLL."""

from amaranth.build import Platform
from amaranth.hdl import ClockDomain, Elaboratable, Module, Signal
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer
from vitric.hdl.fabric.pll import PllSettings, ehxplll

from .system import System

__all__ = ["Top"]


class Top(Elaboratable):
    """The pins of a board, the PLL, reset until it has locked, and the system.

    The PLL is the ECP5's.

    Parameters
    ----------
    system : System
    pll : PllSettings
        From the board's oscillator to the clock of the system.
    clock : str
        Resource of the oscillator on the platform.
    leds : int
        LEDs of the board, at most 8; the lower ones of the system's.
    """

    def __init__(self, system: System, pll: PllSettings, *, clock: str, leds: int):
        self.system = system
        self.pll = pll
        self.clock = clock
        self.leds = leds

    def elaborate(self, platform: Platform):
        """Return the module."""
        m = Module()
        m.submodules.clock_buffer = clock = io.Buffer("i", platform.request(self.clock, dir="-"))
        locked = Signal()
        m.domains.sync = sync = ClockDomain()
        m.submodules.pll = ehxplll(self.pll, clock_in=clock.i, clock_out=sync.clk, locked=locked)
        m.submodules.reset = ResetSynchronizer(~locked)

        m.submodules.system = system = self.system
        uart = platform.request("uart", dir={"rx": "-", "tx": "-", "rts": "-", "dtr": "-"})
        m.submodules.rx_buffer = rx = io.Buffer("i", uart.rx)
        m.submodules.tx_buffer = tx = io.Buffer("o", uart.tx)
        m.d.comb += [system.rx.eq(rx.i), tx.o.eq(system.tx)]
        for number in range(self.leds):
            m.submodules[f"led_buffer_{number}"] = led = io.Buffer("o", platform.request("led", number, dir="-"))
            m.d.comb += led.o.eq(system.leds[number])
        return m
