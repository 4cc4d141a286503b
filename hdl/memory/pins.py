"""The pins of an SDRAM: a register at each of them, and the clock of the chip."""

from amaranth.hdl import Module
from amaranth.lib import io, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.sdram import BUS_BITS, SdramSpec

from .layouts import pins_layout
from .sdram import MEMORY_DOMAIN

__all__ = ["CHIP_DOMAIN", "ChipClock", "SdramPins"]

CHIP_DOMAIN = "sdram_chip"
"""Clock domain whose clock, shifted in phase, goes to the chip: see ``docs/sdram.md`` for the phase."""

_TIED = ("clk_en", "cs", "dqm")  # by some boards


class SdramPins(wiring.Component):
    """Connect a controller with the pins, through the registers that the pins have, in the domain ``sdram``.

    *Latency*: one cycle to the pins, one from them.

    Parameters
    ----------
    spec : SdramSpec
    ports : object
        Ports ``clk_en``, ``cs``, ``ras``, ``cas``, ``we``, ``ba``, ``a``, ``dqm`` and ``dq`` of ``platform.request(…,
        dir="-")``, or ports for simulation; polarity is the ports' own. ``clk_en``, ``cs`` and ``dqm`` are left out
        where the board ties those pins of the chip.

    Members
    -------
    pins : pins_layout(spec), in
    dq : 16, out

    Raises
    ------
    ValueError
        The data bus has another width, or there are fewer address pins than the chip has.
    """

    def __init__(self, spec: SdramSpec, ports):
        if len(ports.dq) != BUS_BITS:
            raise ValueError(f"ports.dq must have {BUS_BITS} bits, not {len(ports.dq)}")
        if len(ports.a) < spec.pin_bits:
            raise ValueError(f"ports.a must have at least {spec.pin_bits} bits, not {len(ports.a)}")
        self.spec, self.ports = spec, ports
        super().__init__({"pins": In(pins_layout(spec)), "dq": Out(BUS_BITS)})

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        pins, command = self.pins, self.pins.command.as_value()
        outputs = {
            "clk_en": 1, "cs": 1, "ras": command[0], "cas": command[1], "we": command[2], "ba": pins.bank,
            "a": pins.address, "dqm": pins.mask.replicate(BUS_BITS // 8),
        }
        for name, value in outputs.items():
            if name in _TIED and not hasattr(self.ports, name):
                continue
            m.submodules[name] = buffer = io.FFBuffer("o", getattr(self.ports, name), o_domain=MEMORY_DOMAIN)
            m.d.comb += buffer.o.eq(value)
        m.submodules.dq = dq = io.FFBuffer("io", self.ports.dq, i_domain=MEMORY_DOMAIN, o_domain=MEMORY_DOMAIN)
        m.d.comb += [dq.o.eq(pins.dq), dq.oe.eq(pins.drive), self.dq.eq(dq.i)]
        return m


class ChipClock(wiring.Component):
    """Send the clock of the domain ``sdram_chip`` to the chip, through the output register of the clock's pin.

    So the clock takes the way that commands and data take, and only the phase of the domain is between them.

    Parameters
    ----------
    port : amaranth.lib.io.PortLike
        Of one bit.
    """

    def __init__(self, port: io.PortLike):
        self.port = port
        super().__init__({})

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        m.submodules.buffer = buffer = io.DDRBuffer("o", self.port, o_domain=CHIP_DOMAIN)
        m.d.comb += [buffer.o[0].eq(1), buffer.o[1].eq(0)]
        return m
