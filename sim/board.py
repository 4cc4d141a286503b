"""A board's system with its memory chips at its pins, for testbenches."""

from amaranth.hdl import ClockDomain, ClockSignal, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from vitric.boards.system import System

from .flash import add_flash, flash_members
from .sdram import add_chip, chip_members

__all__ = ["SystemOnChip"]


class SystemOnChip(wiring.Component):
    """A :class:`~vitric.boards.system.System` with an SDRAM, registers at the pins and the chip; maybe a flash.

    Parameters
    ----------
    system : System
        ``capture_cycles`` of its SDRAM must be 2. A ``core_domain`` of its own is made without a reset.

    Members
    -------
    rx, tx, leds
        Those of the system.
    fault, flip, spot, stuck
        Those of :func:`~vitric.sim.sdram.chip_members`.
    flash_fault, quad_enable, poke, poke_address, poke_data
        Those of :func:`~vitric.sim.flash.flash_members`.
    """

    def __init__(self, system: System):
        if system.sdram is None or system.sdram.capture_cycles != 2:
            raise ValueError("system must have an SDRAM with a register at its pins in each direction")
        self.system = system
        flash = {} if system.flash is None else flash_members(system.flash)
        super().__init__({
            "rx": In(1, init=1), "tx": Out(1, init=1), "leds": Out(8), **chip_members(system.sdram), **flash})

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        m.submodules.system = system = self.system
        if system.core_domain != "sync":
            m.domains += ClockDomain(system.core_domain, reset_less=True)
            m.d.comb += ClockSignal(system.core_domain).eq(ClockSignal())
        add_chip(m, self, system, system.sdram)
        if system.flash is not None:
            add_flash(m, self, system.flash_pins, system.flash_dq, system.flash)
        m.d.comb += [system.rx.eq(self.rx), self.tx.eq(system.tx), self.leds.eq(system.leds)]
        return m
