"""Adds columns of requantized values to residual memory."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import FIELD_BITS

from .ports import residual_read, residual_write

__all__ = ["ResidualAdder", "increment_column"]


def increment_column(spec: AcceleratorSpec) -> data.StructLayout:
    """Return the payload: the residual address and one signed value per lane."""
    return data.StructLayout({
        "address": FIELD_BITS,
        "y": data.ArrayLayout(signed(spec.requantize.code_bits), spec.rows),
    })


class ResidualAdder(wiring.Component):
    """``memory[address][row] = saturate(memory[address][row] + y[row])``.

    *Handshake*: ``i`` is always ready. The same address must not come again before it is written.
    *Latency*: written two cycles after the transfer. *Interval* 1 cycle.

    Members
    -------
    i : stream of increment_column(spec), in
    busy : 1, out
        Something taken is not written yet.
    read, write : ports of residual memory
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        super().__init__({
            "i": In(stream.Signature(increment_column(spec), always_ready=True)), "busy": Out(1),
            "read": Out(residual_read(spec)), "write": Out(residual_write(spec)),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        top = (1 << self.spec.residual_bits - 1) - 1
        read_valid, address = Signal(), Signal.like(self.read.address)
        y = Signal.like(self.i.p.y)
        m.d.comb += [
            self.read.en.eq(self.i.valid), self.read.address.eq(self.i.p.address),
            self.busy.eq(read_valid | self.write.en),
        ]
        m.d.sync += [
            read_valid.eq(self.i.valid), address.eq(self.i.p.address), y.eq(self.i.p.y),
            self.write.en.eq(read_valid), self.write.address.eq(address),
        ]
        for row in range(self.spec.rows):
            total = self.read.data[row] + y[row]
            m.d.sync += self.write.data[row].eq(Mux(total > top, top, Mux(total < ~top, ~top, total)))
        return m
