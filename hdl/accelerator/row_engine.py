"""Makes whole rows of codes: of the image, of LayerNorm, of softmax."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import FIELD_BITS, Flag, Opcode

from .layouts import PROGRESS, ROW_COMMAND, code_columns, code_lanes, flag, held, input_column, opcode, planes
from .ports import activation_write, join
from .position import RowPosition
from .tile_writer import TileWriter

__all__ = ["RowEngine"]


class RowEngine(wiring.Component):
    """The engine of all commands but products: it works beside theirs, on one command at a time.

    INPUT: codes are the pixels of the image. NORM: it starts the reader of the residual stream and of the affine
    constants, and takes the codes of the LayerNorm unit. MATMUL: the codes of the softmax unit, ``drain_cols`` columns
    per cycle, or those that the code table makes of them. All are limited to ``code_high``, except those of the table,
    and go to activation memory, with zeros for the columns of a row from ``columns`` up to ``row_tiles * cols``. LOAD:
    nothing is left to do.

    *Handshake*: rules 1 to 4 on every stream. A write waits until it is granted.
    *Interval* 1 column per cycle, of softmax ``drain_cols``.

    Members
    -------
    i : stream of ROW_COMMAND, in
    command : ROW_COMMAND, out
        The present command.
    start_norm : 1, out
        It is a NORM and begins.
    i_pixels : stream of input_column(spec), in
    i_norm : stream of code_lanes(spec), in
    i_softmax, i_table : streams of code_columns(spec), in
    progress : PROGRESS, out
    complete, index : 1 and unsigned(16), out
        Command ``index`` is complete.
    act : write port of activation memory
    grant : 1, in
        A write in this cycle takes place.
    bad_image : 1, out
        From the cycle after one on: a pixel with ``last`` too early, or the final one without.
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        super().__init__({
            "i": In(stream.Signature(ROW_COMMAND)), "command": Out(ROW_COMMAND), "start_norm": Out(1),
            "i_pixels": In(stream.Signature(input_column(spec))), "i_norm": In(stream.Signature(code_lanes(spec))),
            "i_softmax": In(stream.Signature(code_columns(spec))), "i_table": In(stream.Signature(code_columns(spec))),
            "progress": Out(PROGRESS), "complete": Out(1), "index": Out(FIELD_BITS),
            "act": Out(activation_write(spec)), "grant": In(1), "bad_image": Out(1),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec, command = self.spec, self.command
        m.d.comb += command.eq(held(m, spec, self.i, self.i.valid & self.i.ready))
        m.submodules.writer = writer = TileWriter(spec)
        m.submodules.position = position = RowPosition(spec)
        join(m, writer.write, wiring.flipped(self.act))
        running, take, available = Signal(), Signal(), Signal()
        is_input = opcode(command) == Opcode.INPUT
        is_norm = opcode(command) == Opcode.NORM
        through_table = flag(command, Flag.TABLE)
        m.d.comb += [
            writer.grant.eq(self.grant), writer.i.valid.eq(running & available),
            take.eq(writer.i.valid & writer.i.ready),
            writer.i.p.single.eq(is_input | is_norm), writer.i.p.address.eq(position.tile_address),
            writer.i.p.plane_stride.eq(command.dst_plane_stride), writer.i.p.planes.eq(planes(command)),
            writer.i.p.ends_group.eq(position.ends_group),
            position.command.eq(command), position.step.eq(take), position.single.eq(is_input | is_norm),
            self.progress.index.eq(command.index), self.index.eq(command.index),
        ]
        accept = running & writer.i.ready & ~position.is_padding

        def choose(port, columns, high):
            m.d.comb += [available.eq(port.valid | position.is_padding), port.ready.eq(accept)]
            for c in range(spec.drain_cols):
                for row in range(spec.rows):
                    code = columns[c][row]
                    limited = code if high is None else Mux(code > high, high, code)
                    m.d.comb += writer.i.p.code[c][row].eq(Mux(position.mask[c], limited, 0))

        high = command.code_high[:spec.code_bits]
        with m.If(is_input):
            choose(self.i_pixels, [self.i_pixels.p.pixel] * spec.drain_cols, high)
        with m.Elif(is_norm):
            choose(self.i_norm, [self.i_norm.payload] * spec.drain_cols, high)
        with m.Elif(through_table):
            choose(self.i_table, self.i_table.payload, None)
        with m.Else():
            choose(self.i_softmax, self.i_softmax.payload, high)
        is_last_pixel = position.last_group & position.last_column
        with m.If(take & is_input & ~position.is_padding & (self.i_pixels.p.last != is_last_pixel)):
            m.d.sync += self.bad_image.eq(1)
        with m.If(writer.group_done):
            m.d.sync += self.progress.groups.eq(self.progress.groups + 1)

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    m.d.sync += self.progress.groups.eq(0)
                    m.next = "START"
            with m.State("START"):
                m.d.comb += [position.start.eq(1), self.start_norm.eq(is_norm)]
                m.next = "RUN"
                with m.If(opcode(command) == Opcode.LOAD):
                    m.next = "FINISH"
            with m.State("RUN"):
                m.d.comb += running.eq(1)
                with m.If(take & position.end):
                    m.next = "FINISH"
            with m.State("FINISH"):
                with m.If(~writer.busy):
                    m.d.comb += self.complete.eq(1)
                    m.next = "IDLE"
        return m
