"""Adds columns of requantized values to residual memory."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import FIELD_BITS

from .layouts import value_columns
from .ports import residual_read, residual_write

__all__ = ["ResidualAdder", "increment_beat"]


def increment_beat(spec: AcceleratorSpec) -> data.StructLayout:
    """Return the payload: residual address of ``drain_cols`` columns, their values, whether they end a row group."""
    return data.StructLayout({"address": FIELD_BITS, "y": value_columns(spec), "ends_group": 1})


class ResidualAdder(wiring.Component):
    """``memory[address + column][row] = saturate(memory[address + column][row] + y[column][row])``.

    *Handshake*: ``i`` is always ready. The same address must not come again before it is written.
    *Latency*: read in the cycle of the transfer, written in the third one after it. *Interval* 1 cycle.

    Members
    -------
    i : stream of increment_beat(spec), in
    busy : 1, out
        Something taken is not written yet.
    group_done : 1, out
        Columns with ``ends_group`` are being written.
    read, write : ports of residual memory
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        super().__init__({
            "i": In(stream.Signature(increment_beat(spec), always_ready=True)), "busy": Out(1), "group_done": Out(1),
            "read": Out(residual_read(spec)), "write": Out(residual_write(spec)),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        top = (1 << self.spec.residual_bits - 1) - 1
        valid, ends = Signal(3), Signal(3)  # from the cycle of the memory's answer on
        addresses = [Signal.like(self.read.address, name=f"address_{k}", reset_less=True) for k in range(2)]
        y = [Signal(self.i.p.y.shape(), name=f"y_{k}", reset_less=True) for k in range(2)]
        memory = Signal(self.read.data.shape(), reset_less=True)
        m.d.sync += [
            valid.eq(Cat(self.i.valid, valid)), ends.eq(Cat(self.i.valid & self.i.p.ends_group, ends)),
            addresses[0].eq(self.i.p.address), addresses[1].eq(addresses[0]), self.write.address.eq(addresses[1]),
            y[0].eq(self.i.p.y), y[1].eq(y[0]), memory.eq(self.read.data),  # block RAM answers late in its cycle
        ]
        m.d.comb += [
            self.read.en.eq(self.i.valid), self.read.address.eq(self.i.p.address), self.busy.eq(valid.any()),
            self.write.en.eq(valid[2]), self.group_done.eq(ends[2]),
        ]
        for column in range(self.spec.drain_cols):
            for row in range(self.spec.rows):
                total = memory[column][row] + y[1][column][row]
                m.d.sync += self.write.data[column][row].eq(Mux(total > top, top, Mux(total < ~top, ~top, total)))
        return m
