"""The engines, units and memories of the accelerator, wired together."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import FIELD_BITS, LIMIT_MAX, ErrorCode, Target

from ..activation.gelu import Gelu
from ..activation.requantize import Requantize
from ..layernorm.unit import LayerNorm
from ..mac.array import MacArray
from ..softmax import Softmax
from ..streams import PipelineRegister, Queue, StreamBuffer, connect
from .drain import Drain
from .feeder import Feeder
from .front_end import FrontEnd
from .layouts import AFFINE, CHANNEL, COLUMN_TAG, COMMAND, input_column, model_word, weight_word
from .memories import ActivationMemory, ResidualMemory, Ring
from .ports import join, share_read, share_write
from .writeback import Writeback

__all__ = ["Core", "tap_signature"]

COMMAND_QUEUE = 16


def tap_signature(spec: AcceleratorSpec) -> wiring.Signature:
    """Return the debug port: every write to activation and residual memory, in the cycle in which it happens.

    ``command`` is the number of the command that writes. ``act_data`` is a tile ``[row][col]`` at tile address
    ``act_address``; ``residual_data`` a column ``[row]`` at ``residual_address``. ``beat`` is 1 when the array takes a
    beat. Unconnected, the port costs nothing.
    """
    return wiring.Signature({
        "command": Out(FIELD_BITS),
        "act_valid": Out(1), "act_address": Out(range(spec.act_words * spec.word_tiles)),
        "act_data": Out(unsigned(spec.tile_bits)),
        "residual_valid": Out(1), "residual_address": Out(range(spec.residual_words)),
        "residual_data": Out(unsigned(spec.residual_word_bits)),
        "beat": Out(1),
    })


class Core(wiring.Component):
    """Front end, feeder, array, drain, requantize, code table, softmax, LayerNorm, writeback, and the memories.

    Ports as :class:`~vitric.hdl.accelerator.accelerator.Accelerator`, without its recovery from errors: after
    ``error_valid`` or ``finished``, which hold, the component must be reset. ``limit`` is the binary logarithm of the
    cycles that the stream may take; before its header is checked, the largest.
    """

    def __init__(self, spec: AcceleratorSpec, *, fabric: str | None = None):
        self.spec = spec
        self.fabric = fabric
        super().__init__({
            "model": In(stream.Signature(model_word(spec))),
            "i": In(stream.Signature(input_column(spec))),
            "o": Out(stream.Signature(signed(spec.residual_bits))),
            "tap": Out(tap_signature(spec)),
            "limit": Out(range(LIMIT_MAX + 1)), "finished": Out(1),
            "error_valid": Out(1), "error": Out(8), "index": Out(FIELD_BITS),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec = self.spec
        fabric = self.fabric or "generic"
        m.submodules.front = front = FrontEnd(spec)
        m.submodules.commands = commands = Queue(COMMAND, depth=COMMAND_QUEUE, buffered=False)
        m.submodules.feeder = feeder = Feeder(spec)
        m.submodules.to_drain = to_drain = PipelineRegister(COMMAND)
        m.submodules.array = array = MacArray(spec.mac, fabric=self.fabric)
        m.submodules.drain = drain = Drain(spec)
        m.submodules.to_writeback = to_writeback = PipelineRegister(COMMAND)
        m.submodules.requantize = requantize = Requantize(
            spec.requantize, tag_bits=COLUMN_TAG.size, fabric=fabric)
        m.submodules.table = table = Gelu(spec.gelu)
        m.submodules.softmax = softmax = Softmax(spec.softmax)
        m.submodules.norm = norm = LayerNorm(spec.layernorm, fabric=fabric)
        m.submodules.writeback = writeback = Writeback(spec)
        m.submodules.activations = activations = ActivationMemory(spec)
        m.submodules.residual = residual = ResidualMemory(spec)
        m.submodules.weights = weights = Ring(shape=weight_word(spec), depth=spec.weight_words)
        m.submodules.channels = channels = Ring(shape=CHANNEL, depth=spec.channel_words)

        # The stream and the commands.
        connect(m, wiring.flipped(self.model), front.i)
        connect(m, front.command, commands.i)
        connect(m, commands.o, feeder.i)
        connect(m, feeder.o_command, to_drain.i)
        connect(m, to_drain.o, drain.i)
        connect(m, drain.o_command, to_writeback.i)
        connect(m, to_writeback.o, writeback.i)
        connect(m, front.table, table.table)
        m.d.comb += [front.done.eq(writeback.done), feeder.done.eq(writeback.done)]

        # Operands to the array, columns out of it.
        connect(m, front.weights, weights.i)
        connect(m, front.channels, channels.i)
        m.submodules.beats = beats = StreamBuffer(feeder.o.payload.shape())  # ends the path of `ready` to the memories
        connect(m, feeder.o, beats.i)
        connect(m, beats.o, array.i)
        connect(m, array.o, drain.i_tile)
        connect(m, drain.o, requantize.i)
        join(m, feeder.weights, weights.read)
        join(m, drain.channels, channels.read)
        # The buffer ends the path of `ready` from the writeback to the array.
        m.submodules.columns = columns = StreamBuffer(requantize.o.payload.shape())
        connect(m, requantize.o, columns.i)
        self._route(m, columns, table, softmax, writeback)

        # LayerNorm.
        constants = feeder.norm_command
        connect(m, feeder.o_norm, norm.i)
        m.submodules.affine = affine = StreamBuffer(AFFINE)  # ends the path of `ready` to the drain
        connect(m, drain.o_affine, affine.i)
        m.d.comb += [
            norm.row.inverse.eq(Cat(constants.inverse0, constants.inverse1, constants.inverse2)),
            norm.row.norm.eq(constants.norm), norm.row.exponent.eq(constants.exponent),
            norm.affine.valid.eq(affine.o.valid), affine.o.ready.eq(norm.affine.ready),
            norm.affine.p.gamma.eq(affine.o.p.gamma), norm.affine.p.beta.eq(affine.o.p.beta),
            writeback.i_norm.valid.eq(norm.o.valid), norm.o.ready.eq(writeback.i_norm.ready),
            writeback.i_norm.payload.eq(norm.o.p.code),
        ]
        connect(m, wiring.flipped(self.i), writeback.i_pixels)
        connect(m, writeback.o_logits, wiring.flipped(self.o))

        # The loader has the read port of activation memory whenever its data register is free.
        m.d.comb += [front.read_free.eq(feeder.read_free), feeder.read_stolen.eq(front.read.en)]
        share_read(m, activations.read, front.read, feeder.read)
        join(m, writeback.act, activations.write)
        share_read(m, residual.read, writeback.residual_read, feeder.residual)
        share_write(m, residual.write, front.residual, writeback.residual_write)
        beyond = Signal()
        m.d.sync += beyond.eq(beyond | activations.beyond | residual.beyond)
        m.d.comb += [
            self.tap.command.eq(Mux(front.residual.en, front.index, writeback.done + 1)),
            self.tap.act_valid.eq(activations.write.en), self.tap.act_address.eq(activations.write.address),
            self.tap.act_data.eq(activations.write.data), self.tap.residual_valid.eq(residual.write.en),
            self.tap.residual_address.eq(residual.write.address),
            self.tap.residual_data.eq(residual.write.data),
            self.tap.beat.eq(array.i.valid & array.i.ready),
            self.limit.eq(front.limit), self.finished.eq(front.finished), self.index.eq(front.index),
            self.error_valid.eq(front.error_valid | writeback.bad_image | beyond | feeder.bad_set),
            self.error.eq(Mux(
                front.error_valid, front.error,
                Mux(writeback.bad_image, ErrorCode.BAD_IMAGE,
                    Mux(beyond, ErrorCode.CAPACITY, ErrorCode.BAD_COMMAND)))),
        ]
        return m

    def _route(self, m, columns, table, softmax, writeback):
        """Send each requantized column to the unit that its tag names, and what leaves softmax on."""
        spec = self.spec
        tag = data.View(COLUMN_TAG, columns.o.p.tag)
        to_softmax = tag.target == Target.SOFTMAX
        to_table = tag.table & ~to_softmax
        m.d.comb += [
            columns.o.ready.eq(Mux(
                to_softmax, softmax.i.ready,
                Mux(to_table, writeback.table_direct & table.i.ready, writeback.i_direct.ready))),
            softmax.i.valid.eq(columns.o.valid & to_softmax),
            softmax.i.p.mask.eq(1), softmax.i.p.last.eq(tag.last), softmax.i.p.offset.eq(tag.offset),
            writeback.i_direct.valid.eq(columns.o.valid & ~to_table & ~to_softmax),
            softmax.o.ready.eq(Mux(writeback.table_softmax, table.i.ready, writeback.i_softmax.ready)),
            table.i.valid.eq(Mux(
                writeback.table_softmax, softmax.o.valid, writeback.table_direct & columns.o.valid & to_table)),
            writeback.i_softmax.valid.eq(softmax.o.valid & ~writeback.table_softmax),
            writeback.i_table.valid.eq(table.o.valid), table.o.ready.eq(writeback.i_table.ready),
        ]
        for row in range(spec.rows):
            y, code = columns.o.p.y[row], softmax.o.p.code[0][row]
            m.d.comb += [
                softmax.i.p.x[0][row].eq(y[:spec.softmax.score_bits].as_signed()),
                table.i.p.index[row].eq(Mux(writeback.table_softmax, code, y[:spec.index_bits])),
                writeback.i_direct.payload[row].eq(y),
                writeback.i_softmax.payload[row].eq(code),
                writeback.i_table.payload[row].eq(table.o.p.y[row]),
            ]
