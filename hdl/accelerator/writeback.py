"""Writes the results of commands to memory, in order, and counts the commands that are complete."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import FIELD_BITS, Flag, Opcode, Target

from .layouts import COMMAND, code_lanes, flag, input_column, opcode, planes, target
from .ports import activation_write, join, residual_read, residual_write
from .position import Position
from .residual_adder import ResidualAdder
from .tile_writer import TileWriter

__all__ = ["Writeback"]


class Writeback(wiring.Component):
    """Last engine: takes the columns of one command after the other from the unit that makes them.

    Codes go to activation memory through a :class:`TileWriter`, with zeros for the columns of a row from
    ``columns`` up to ``row_tiles * cols``; residual columns are added to residual memory; logits are lane 0 of row
    group 0, the first ``dst_stride`` of them. Addresses are those of :class:`Position`.

    *Handshake*: rules 1 to 4 on every stream. Sources other than that of the present command are not taken.
    *Interval* 1 column per cycle; between commands the pipeline runs empty, which takes 3 cycles and the writing.

    Members
    -------
    i : stream of COMMAND, in
    i_direct : stream of rows x signed(17), in
        Requantized values that need no further unit.
    i_table, i_softmax, i_norm : streams of code_lanes(spec), in
        Codes from the code table, the softmax unit and the LayerNorm.
    i_pixels : stream of input_column(spec), in
    o_logits : stream of signed(residual_bits), out
    table_direct, table_softmax : 1, out
        The present command's codes go through the code table: requantized values, or those of the softmax unit. Only
        then may such a column enter it, so the table never holds columns of two commands.
    done : unsigned(16), out
        Commands whose results are all written.
    act : write port of activation memory
    residual_read, residual_write : ports of residual memory
    bad_image : 1, out
        From the cycle after one on: a pixel with ``last`` too early, or the final one without.
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        values = data.ArrayLayout(signed(spec.requantize.code_bits), spec.rows)
        super().__init__({
            "i": In(stream.Signature(COMMAND)),
            "i_direct": In(stream.Signature(values)),
            "i_table": In(stream.Signature(code_lanes(spec))),
            "i_softmax": In(stream.Signature(code_lanes(spec))),
            "i_norm": In(stream.Signature(code_lanes(spec))),
            "i_pixels": In(stream.Signature(input_column(spec))),
            "o_logits": Out(stream.Signature(signed(spec.residual_bits))),
            "table_direct": Out(1), "table_softmax": Out(1),
            "done": Out(FIELD_BITS),
            "act": Out(activation_write(spec)),
            "residual_read": Out(residual_read(spec)), "residual_write": Out(residual_write(spec)),
            "bad_image": Out(1),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        m.submodules.writer = writer = TileWriter(self.spec)
        m.submodules.adder = adder = ResidualAdder(self.spec)
        m.submodules.position = position = Position(self.spec)
        join(m, writer.write, wiring.flipped(self.act))
        join(m, adder.read, wiring.flipped(self.residual_read))
        join(m, adder.write, wiring.flipped(self.residual_write))
        command = Signal(COMMAND)
        source, available, accept = self._select(m, command, position)
        take = Signal()
        running = Signal()
        is_product = opcode(command) == Opcode.MATMUL
        to_residual = is_product & (target(command) == Target.RESIDUAL)
        to_logits = is_product & (target(command) == Target.LOGITS)
        to_memory = ~to_residual & ~to_logits
        logits_left = Signal(FIELD_BITS)
        is_logit = position.first_group & (logits_left != 0)

        is_scores = target(command) == Target.SOFTMAX
        through_table = running & is_product & flag(command, Flag.TABLE)
        m.d.comb += [
            self.table_direct.eq(through_table & ~is_scores), self.table_softmax.eq(through_table & is_scores),
            position.command.eq(command), position.step.eq(take),
            writer.i.valid.eq(running & available & to_memory),
            writer.i.p.code.eq(source), writer.i.p.address.eq(position.tile_address),
            writer.i.p.plane_stride.eq(command.dst_plane_stride), writer.i.p.planes.eq(planes(command)),
            writer.i.p.signed.eq(flag(command, Flag.SIGNED)),
            writer.i.p.transpose.eq(flag(command, Flag.TRANSPOSE)),
            adder.i.valid.eq(running & available & to_residual),
            adder.i.p.address.eq(position.residual_address), adder.i.p.y.eq(self.i_direct.payload),
            self.o_logits.payload.eq(self.i_direct.payload[0]),
            self.o_logits.valid.eq(running & available & to_logits & is_logit),
            accept.eq(running & Mux(to_memory, writer.i.ready, Mux(to_logits, ~is_logit | self.o_logits.ready, 1))),
            take.eq(accept & available),
        ]
        with m.If(position.start):
            m.d.sync += logits_left.eq(command.dst_stride)
        with m.Elif(take & to_logits & is_logit):
            m.d.sync += logits_left.eq(logits_left - 1)
        with m.If(take & (opcode(command) == Opcode.INPUT) & ~position.is_padding
                  & (self.i_pixels.p.last != self._is_last_pixel(position, command))):
            m.d.sync += self.bad_image.eq(1)

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += command.eq(self.i.payload)
                with m.If(self.i.valid):
                    m.next = "START"
            with m.State("START"):
                m.d.comb += position.start.eq(1)
                m.next = "RUN"
                with m.If(opcode(command) == Opcode.LOAD):
                    m.next = "COMPLETE"
            with m.State("RUN"):
                m.d.comb += running.eq(1)
                with m.If(take & position.end):
                    m.next = "COMPLETE"
            with m.State("COMPLETE"):
                with m.If(~writer.busy & ~adder.busy):
                    m.d.sync += self.done.eq(self.done + 1)
                    m.next = "IDLE"
        return m

    def _is_last_pixel(self, position, command):
        return position.last_group & (position.column == command.columns - 1)

    def _select(self, m, command, position):
        """Return the codes of the present column, whether it is there, and the signal that one is accepted."""
        codes = Signal(code_lanes(self.spec))
        available, accept, clamp = Signal(), Signal(), Signal()
        padding = Signal()
        direct = Signal(code_lanes(self.spec))
        m.d.comb += [direct[row].eq(self.i_direct.payload[row][:self.spec.code_bits]) for row in range(self.spec.rows)]
        m.d.comb += padding.eq(position.is_padding)

        def choose(port, value):
            m.d.comb += [
                codes.eq(value), available.eq(port.valid | padding), port.ready.eq(accept & ~padding),
            ]

        with m.Switch(opcode(command)):
            with m.Case(Opcode.NORM):
                choose(self.i_norm, self.i_norm.payload)
                m.d.comb += clamp.eq(1)
            with m.Case(Opcode.INPUT):
                choose(self.i_pixels, self.i_pixels.p.pixel)
                m.d.comb += clamp.eq(1)
            with m.Default():
                with m.If(flag(command, Flag.TABLE)):
                    choose(self.i_table, self.i_table.payload)
                with m.Elif(target(command) == Target.SOFTMAX):
                    choose(self.i_softmax, self.i_softmax.payload)
                    m.d.comb += clamp.eq(1)
                with m.Else():
                    choose(self.i_direct, direct)
        source = Signal(code_lanes(self.spec))
        for row in range(self.spec.rows):
            high = command.code_high[:self.spec.code_bits]
            limited = Mux(clamp & (codes[row] > high), high, codes[row])
            m.d.comb += source[row].eq(Mux(padding, 0, limited))
        return source, available, accept
