"""The reader of a serial flash with the chip model at its pins, for testbenches."""

from amaranth.hdl import ClockSignal, Const, Instance, Module, ResetSignal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.flash import FlashSpec
from vitric.hdl.memory.flash import FLASH_BYTE, FLASH_READ, FlashReader

__all__ = ["FlashOnChip", "add_flash", "flash_members"]


def flash_members(spec: FlashSpec) -> dict:
    """Return the members of a design that :func:`add_flash` needs.

    flash_fault : 4, out
        Number of the rule of the chip that was broken first, 0 for none.
    quad_enable : 1, in
        The chip has been told to read on four lanes where it is asked to.
    poke : 1, in
    poke_address, poke_data : in
        A byte to put into the chip.
    """
    return {"flash_fault": Out(4), "quad_enable": In(1), "poke": In(1), "poke_address": In(spec.size.bit_length() - 1),
            "poke_data": In(8)}


def add_flash(m: Module, design: wiring.Component, pins, dq, spec: FlashSpec) -> None:
    """Add a chip to a design; ``pins`` and ``dq`` are those of the reader. A reset of ``sync`` takes its power away."""
    m.submodules.flash_chip = Instance(
        "flash_chip", p_ADDRESS_BITS=Const(spec.size.bit_length() - 1, 32), p_HALF=Const(spec.half, 32),
        p_DELAY=Const(2 * spec.half - 2, 32),  # as late as can be
        p_T_WAKE=Const(-(-spec.clock_hz * 30 // 1_000_000), 32),
        i_clk=ClockSignal(), i_reset=ResetSignal(), i_select_n=~pins.select, i_sck=pins.clock, i_dq_i=pins.o,
        i_dq_oe=pins.oe, o_dq_o=dq, i_quad_enable=design.quad_enable, o_fault=design.flash_fault, i_poke=design.poke,
        i_poke_address=design.poke_address, i_poke_data=design.poke_data)


class FlashOnChip(wiring.Component):
    """A :class:`~vitric.hdl.memory.flash.FlashReader` and a flash.

    Parameters
    ----------
    spec : FlashSpec

    Members
    -------
    i, o
        Those of the reader.
    flash_fault, quad_enable, poke, poke_address, poke_data
        Those of :func:`flash_members`.
    """

    def __init__(self, spec: FlashSpec):
        self.spec = spec
        super().__init__({"i": In(stream.Signature(FLASH_READ)), "o": Out(stream.Signature(FLASH_BYTE)),
                          **flash_members(spec)})

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        m.submodules.reader = reader = FlashReader(self.spec)
        add_flash(m, self, reader.pins, reader.dq, self.spec)
        m.d.comb += [
            reader.i.payload.eq(self.i.payload), reader.i.valid.eq(self.i.valid), self.i.ready.eq(reader.i.ready),
            self.o.payload.eq(reader.o.payload), self.o.valid.eq(reader.o.valid), reader.o.ready.eq(self.o.ready),
        ]
        return m
