"""The affine constants of a NORM: loaded once, read again for each row group."""

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2
from vitric.golden.spec.accelerator import AcceleratorSpec

from .layouts import AFFINE, ROW_COMMAND, affine_group
from .ports import affine_write

__all__ = ["Affine"]


class Affine(wiring.Component):
    """Memory of ``max_embed`` affine constants, and the engine that streams them.

    After ``start`` the constants of channels 0 to ``columns - 1`` come, ``groups`` times one after the other.

    *Handshake*: rules 1 to 4 on ``o``; ``start`` for one cycle with ``command`` held until the last constant is taken.
    *Latency* 2 cycles from ``start``, *interval* 1 cycle.

    Members
    -------
    write : :func:`~vitric.hdl.accelerator.ports.affine_write`, flipped
    command : ROW_COMMAND, in
    start : 1, in
    o : stream of AFFINE, out
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        super().__init__({
            "write": In(affine_write(spec)), "command": In(ROW_COMMAND), "start": In(1),
            "o": Out(stream.Signature(AFFINE)),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        command = self.command
        shape = affine_group(self.spec)
        part = exact_log2(shape.length)
        m.submodules.memory = memory = Memory(
            shape=shape, depth=max(2, -(-self.spec.max_embed // shape.length)), init=[], attrs={"ram_style": "block"})
        write, read = memory.write_port(), memory.read_port()
        channel, position = Signal(range(self.spec.max_embed + 1)), Signal(range(shape.length))
        groups = Signal.like(command.groups)  # left
        last = channel == command.columns - 1
        m.d.comb += [
            write.en.eq(self.write.en), write.addr.eq(self.write.address), write.data.eq(self.write.data),
            read.addr.eq(channel[part:]), read.en.eq(~self.o.valid | self.o.ready),
            self.o.payload.eq(Array(read.data)[position]),
        ]
        with m.If(read.en):
            m.d.sync += [self.o.valid.eq(groups != 0), position.eq(channel[:part])]
            with m.If(groups != 0):
                m.d.sync += channel.eq(channel + 1)
                with m.If(last):
                    m.d.sync += [channel.eq(0), groups.eq(groups - 1)]
        with m.If(self.start):
            m.d.sync += groups.eq(command.groups)
        return m
