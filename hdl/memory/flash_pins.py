"""The pins of a serial flash on an ECP5, whose clock has a way of its own."""

from amaranth.hdl import Cat, Instance, Module, ResetSignal
from amaranth.lib import io, wiring
from amaranth.lib.wiring import In, Out

from .flash import FLASH_PINS

__all__ = ["FlashPins"]

_LANES = "copi", "cipo", "wp", "hold"


class FlashPins(wiring.Component):
    """Connect a :class:`~vitric.hdl.memory.flash.FlashReader` with the flash that an ECP5 is configured from.

    The pin of its clock is no pin of the user's: the cell USRMCLK drives it after configuration. The lanes have the
    levels of the wire and both directions, whatever their ports say for a flash that is read on one lane.

    Parameters
    ----------
    ports : object
        Ports ``cs``, ``copi``, ``cipo``, ``wp`` and ``hold`` of ``platform.request(…, dir="-")``.

    Members
    -------
    pins : FLASH_PINS, in
    dq : 4, out
    """

    def __init__(self, ports):
        self.ports = ports
        super().__init__({"pins": In(FLASH_PINS), "dq": Out(4)})

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        m.submodules.clock = Instance("USRMCLK", i_USRMCLKI=self.pins.clock, i_USRMCLKTS=ResetSignal())
        m.submodules.cs = select = io.Buffer("o", self.ports.cs)
        m.d.comb += select.o.eq(self.pins.select)
        taken = []
        for lane, name in enumerate(_LANES):
            wire = io.SingleEndedPort(getattr(self.ports, name).io, direction="io")
            m.submodules[name] = buffer = io.Buffer("io", wire)
            m.d.comb += [buffer.o.eq(self.pins.o[lane]), buffer.oe.eq(self.pins.oe[lane])]
            taken.append(buffer.i)
        m.d.comb += self.dq.eq(Cat(taken))
        return m
