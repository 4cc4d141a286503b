"""The engines, units and memories of the accelerator, wired together."""

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import FIELD_BITS, LIMIT_MAX, ErrorCode, Flag, Opcode, Target

from ..activation.gelu import Gelu
from ..activation.requantize import Requantize
from ..fabric.replicas import Replicas
from ..layernorm.unit import LayerNorm
from ..mac.array import MacArray
from ..softmax import Softmax
from ..streams import Queue, connect
from .affine import Affine
from .drain import Drain
from .feeder import Feeder
from .front_end import FrontEnd
from .layouts import (
    DRAIN_COMMAND,
    PRODUCT_COMMAND,
    ROW_COMMAND,
    WRITE_COMMAND,
    channel_group,
    column_tag,
    flag,
    input_column,
    logit_beat,
    model_word,
    opcode,
    weight_word,
)
from .memories import ActivationMemory, ResidualMemory, Ring
from .norm_feeder import NormFeeder
from .ports import join, share_read, share_write
from .progress import Completion
from .row_engine import RowEngine
from .tap import engines_at_work, tap_signature
from .writeback import Writeback

__all__ = ["Core"]

class Core(wiring.Component):
    """Front end; feeder, array, drain, requantize and writeback of the products; row engine; units and memories.

    Ports as :class:`~vitric.hdl.accelerator.accelerator.Accelerator`, without its recovery from errors: after
    ``error_valid`` or ``finished``, which hold, the component must be cleared. ``clear`` acts as a reset does, one
    cycle later, through a register for each part: as one signal it would be the longest wire of the design. Logits
    come several at a time and do not wait. ``limit`` is the binary logarithm of the cycles that the stream may take;
    before its header is checked, the largest.
    """

    def __init__(self, spec: AcceleratorSpec, *, fabric: str | None = None):
        self.spec = spec
        self.fabric = fabric
        super().__init__({
            "model": In(stream.Signature(model_word(spec))),
            "i": In(stream.Signature(input_column(spec))),
            "o": Out(stream.Signature(logit_beat(spec), always_ready=True)),
            "tap": Out(tap_signature(spec)),
            "limit": Out(range(LIMIT_MAX + 1)), "finished": Out(1),
            "error_valid": Out(1), "error": Out(8), "index": Out(FIELD_BITS), "clear": In(1),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec, parts = self.spec, _Parts(m)
        front = parts.add("front", FrontEnd(spec))
        feeder = parts.add("feeder", Feeder(spec))
        writeback = parts.add("writeback", Writeback(spec))
        rows = parts.add("rows", RowEngine(spec))
        completion = parts.add("completion", Completion(spec))
        activations = parts.add("activations", ActivationMemory(spec))
        residual = parts.add("residual", ResidualMemory(spec))
        connect(m, wiring.flipped(self.model), front.i)
        connect(m, wiring.flipped(self.i), rows.i_pixels)
        for name, shape, source, sink in (
                ("products", PRODUCT_COMMAND, front.o_product, feeder.i),
                ("row_commands", ROW_COMMAND, front.o_row, rows.i)):
            parts.queue(name, shape, source, sink, depth=spec.command_queue)
        m.d.comb += [
            front.done.eq(completion.done), feeder.done.eq(completion.done),
            feeder.product.eq(writeback.progress), feeder.rows.eq(rows.progress),
            completion.product.valid.eq(writeback.complete), completion.product.index.eq(writeback.index),
            completion.rows.valid.eq(rows.complete), completion.rows.index.eq(rows.index),
            self.o.valid.eq(writeback.o_logits.valid), self.o.payload.eq(writeback.o_logits.payload),
        ]
        tag = self._products(m, parts, front, feeder, writeback, rows)
        norm_feeder = self._norm(m, parts, front, writeback, rows, completion)

        # The loader reads activation memory when the feeder does not; products write it first.
        m.d.comb += [feeder.wanted.eq(front.want), rows.grant.eq(~writeback.act.en)]
        share_read(m, activations.read, front.read, feeder.read)
        share_write(m, activations.write, writeback.act, rows.act)
        m.d.comb += norm_feeder.taken.eq(writeback.residual_read.en)
        share_read(m, residual.read, writeback.residual_read, norm_feeder.residual)
        share_write(m, residual.write, front.residual, writeback.residual_write)

        beyond = Signal()
        m.d.sync += beyond.eq((beyond | activations.beyond | residual.beyond) & ~parts.cleared)
        parts.clear(self.clear, self.fabric or "generic")
        active, commands = engines_at_work(m, parts.named, tag.index)
        m.d.comb += [
            self.tap.active.eq(active), self.tap.commands.eq(commands),
            self.tap.act_command.eq(Mux(writeback.act.en, writeback.index, rows.index)),
            self.tap.act_valid.eq(activations.write.en), self.tap.act_address.eq(activations.write.address),
            self.tap.act_data.eq(activations.write.data),
            self.tap.residual_command.eq(Mux(front.residual.en, front.index, writeback.index)),
            self.tap.residual_valid.eq(residual.write.en), self.tap.residual_address.eq(residual.write.address),
            self.tap.residual_data.eq(residual.write.data),
            self.tap.beat.eq(feeder.o.valid), self.tap.done.eq(completion.done),
            self.limit.eq(front.limit), self.finished.eq(front.finished), self.index.eq(front.index),
            self.error_valid.eq(front.error_valid | rows.bad_image | beyond | feeder.bad_set),
            self.error.eq(Mux(
                front.error_valid, front.error,
                Mux(rows.bad_image, ErrorCode.BAD_IMAGE,
                    Mux(beyond, ErrorCode.CAPACITY, ErrorCode.BAD_COMMAND)))),
        ]
        return m

    def _products(self, m, parts, front, feeder, writeback, rows):
        """From the rings through array, drain and requantize to the unit that the tag names; return the tag there."""
        spec = self.spec
        fabric = self.fabric or "generic"
        weights = parts.add("weights", Ring(shape=weight_word(spec), depth=spec.weight_words))
        channels = parts.add("channels", Ring(
            shape=channel_group(spec), depth=spec.channel_words // spec.channel_group))
        array = parts.add("array", MacArray(spec.mac, fabric=self.fabric))
        drain = parts.add("drain", Drain(spec))
        table = parts.add("table", Gelu(spec.gelu, tag_bits=1))
        softmax = parts.add("softmax", Softmax(spec.softmax))
        for name, shape, source, sink in (
                ("to_drain", DRAIN_COMMAND, feeder.o_drain, drain.i),
                ("to_writeback", WRITE_COMMAND, feeder.o_write, writeback.i)):
            parts.queue(name, shape, source, sink, depth=min(spec.command_queue, 2))
        connect(m, front.weights, weights.i)
        connect(m, front.channels, channels.i)
        connect(m, front.table, table.table)
        join(m, feeder.weights, weights.read)
        join(m, drain.channels, channels.read)
        # Nothing from the feeder to the writeback ever stops.
        m.d.comb += [
            feeder.channels_filled.eq(channels.read.filled),
            array.i.valid.eq(feeder.o.valid), array.i.payload.eq(feeder.o.payload),
            drain.i_tile.valid.eq(array.o.valid), drain.i_tile.payload.eq(array.o.payload), array.o.ready.eq(1),
        ]
        moving = column_tag(spec).members if spec.command_queue else ("last", "mask")  # the rest is the command's
        travels = data.StructLayout({name: column_tag(spec).members[name] for name in moving})
        units = [Requantize(spec.requantize, tag_bits=travels.size if c == 0 else 0, held=not spec.command_queue,
                            fabric=fabric) for c in range(spec.drain_cols)]
        for c, (unit, column) in enumerate(zip(units, drain.columns, strict=True)):
            parts.add(f"requantize_{c}", unit)
            fields = [name for name in column.shape().members if name != "tag"]
            m.d.comb += [
                unit.i.valid.eq(drain.valid), unit.o.ready.eq(1),
                *(unit.i.p[name].eq(column[name]) for name in fields),
            ]
        valid, tag = units[0].o.valid, Signal(column_tag(spec))
        m.d.comb += [
            units[0].i.p.tag.eq(Cat(drain.tag[name] for name in moving)), tag.eq(drain.tag),
            *(tag[name].eq(data.View(travels, units[0].o.p.tag)[name]) for name in moving),
        ]
        to_softmax = tag.target == Target.SOFTMAX
        to_table = valid & tag.table & ~to_softmax
        softmax_table = flag(rows.command, Flag.TABLE) & (opcode(rows.command) == Opcode.MATMUL)
        m.d.comb += [
            softmax.i.valid.eq(valid & to_softmax), softmax.i.p.last.eq(tag.last), softmax.i.p.mask.eq(tag.mask),
            softmax.i.p.offset.eq(tag.offset),
            writeback.i_direct.valid.eq(valid & ~tag.table & ~to_softmax),
            # A product's codes and those of softmax use the table not at the same time.
            table.i.valid.eq(to_table | softmax_table & softmax.o.valid), table.i.p.tag.eq(to_table),
            softmax.o.ready.eq(Mux(softmax_table, ~to_table & table.i.ready, rows.i_softmax.ready)),
            rows.i_softmax.valid.eq(softmax.o.valid & ~softmax_table),
            writeback.i_table.valid.eq(table.o.valid & table.o.p.tag),
            rows.i_table.valid.eq(table.o.valid & ~table.o.p.tag),
            table.o.ready.eq(table.o.p.tag | rows.i_table.ready),
        ]
        for c in range(spec.drain_cols):
            for row in range(spec.rows):
                lane = c * spec.rows + row
                y, code, entry = units[c].o.p.y[row], softmax.o.p.code[c][row], table.o.p.y[lane]
                m.d.comb += [
                    softmax.i.p.x[c][row].eq(y[:spec.softmax.score_bits].as_signed()),
                    table.i.p.index[lane].eq(Mux(to_table, y[:spec.index_bits], code)),
                    writeback.i_direct.payload[c][row].eq(y), rows.i_softmax.payload[c][row].eq(code),
                    writeback.i_table.payload[c][row].eq(entry), rows.i_table.payload[c][row].eq(entry),
                ]
        inside = Signal(range(spec.softmax.max_rows + 1))  # row groups between the feeder and the last code taken
        leaves = softmax.o.valid & softmax.o.ready & softmax.o.p.last
        m.d.sync += inside.eq(Mux(parts.cleared, 0, inside + feeder.row_begins - leaves))
        m.d.comb += feeder.row_room.eq(inside != spec.softmax.max_rows)
        return tag

    def _norm(self, m, parts, front, writeback, rows, completion):
        """Join residual memory, affine constants and row engine to the LayerNorm unit; return the reader."""
        feeder = parts.add("norm_feeder", NormFeeder(self.spec))
        affine = parts.add("affine", Affine(self.spec))
        norm = parts.add("norm", LayerNorm(self.spec.layernorm, static_row=not self.spec.command_queue,
                                           fabric=self.fabric or "generic"))
        command = rows.command
        join(m, front.affine, affine.write)
        connect(m, feeder.o, norm.i)
        m.d.comb += [
            feeder.command.eq(command), feeder.start.eq(rows.start_norm), feeder.done.eq(completion.done),
            feeder.product.eq(writeback.progress), feeder.rows.eq(rows.progress),
            affine.command.eq(command), affine.start.eq(rows.start_norm),
            norm.row.inverse.eq(Cat(command.inverse0, command.inverse1, command.inverse2)),
            norm.row.norm.eq(command.norm), norm.row.exponent.eq(command.exponent),
            norm.affine.valid.eq(affine.o.valid), affine.o.ready.eq(norm.affine.ready),
            norm.affine.p.gamma.eq(affine.o.p.gamma), norm.affine.p.beta.eq(affine.o.p.beta),
            rows.i_norm.valid.eq(norm.o.valid), norm.o.ready.eq(rows.i_norm.ready),
            rows.i_norm.payload.eq(norm.o.p.code),
        ]
        return feeder


class _Parts:
    """The parts of a module by name, each with a register of its own that resets it."""

    def __init__(self, m: Module):
        self._m = m
        self.named: dict[str, wiring.Component] = {}
        self.cleared = Signal()
        self._resets = [self.cleared]

    def add(self, name: str, part: wiring.Component) -> wiring.Component:
        """Make ``part`` a submodule; return it."""
        reset = Signal(name=f"clear_{name}")
        self._resets.append(reset)
        self.named[name] = part
        self._m.submodules[name] = ResetInserter(reset)(part)
        return part

    def queue(self, name: str, shape, source, sink, *, depth: int) -> None:
        """Join two streams by a queue, or, if its depth is 0, directly."""
        if depth:
            queue = self.add(name, Queue(shape, depth=depth, buffered=False))
            connect(self._m, source, queue.i)
            source = queue.o
        connect(self._m, source, sink)

    def clear(self, by: Signal, fabric: str) -> None:
        """Have every part that was added be reset in the cycle after ``by``."""
        self._m.submodules.clears = clears = Replicas(len(self._resets), fabric=fabric)
        self._m.d.comb += [clears.d.eq(by), Cat(self._resets).eq(clears.q)]
