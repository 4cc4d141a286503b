"""Adds columns of requantized values to residual memory."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2
from vitric.golden.spec.accelerator import AcceleratorSpec

from .layouts import residual_column

__all__ = ["ResidualAdder", "increment_column"]


def increment_column(spec: AcceleratorSpec) -> data.StructLayout:
    """Return the payload: the residual address and one signed value per lane."""
    return data.StructLayout({
        "address": ceil_log2(spec.residual_words),
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
    read_en, read_address, read_data : read port of residual memory
    write_en, write_address, write_data : its write port
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        address = ceil_log2(spec.residual_words)
        super().__init__({
            "i": In(stream.Signature(increment_column(spec), always_ready=True)), "busy": Out(1),
            "read_en": Out(1), "read_address": Out(address), "read_data": In(residual_column(spec)),
            "write_en": Out(1), "write_address": Out(address), "write_data": Out(residual_column(spec)),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        top = (1 << self.spec.residual_bits - 1) - 1
        read_valid, address = Signal(), Signal.like(self.read_address)
        y = Signal.like(self.i.p.y)
        m.d.comb += [
            self.read_en.eq(self.i.valid), self.read_address.eq(self.i.p.address),
            self.busy.eq(read_valid | self.write_en),
        ]
        m.d.sync += [
            read_valid.eq(self.i.valid), address.eq(self.i.p.address), y.eq(self.i.p.y),
            self.write_en.eq(read_valid), self.write_address.eq(address),
        ]
        for row in range(self.spec.rows):
            total = self.read_data[row] + y[row]
            m.d.sync += self.write_data[row].eq(Mux(total > top, top, Mux(total < ~top, ~top, total)))
        return m
