"""The debug port: what is written to the memories, and which engines are at work for which command."""

from collections.abc import Mapping

from amaranth.hdl import Cat, Module, Mux, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import Out
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import FIELD_BITS

from ..pipeline import delay

__all__ = ["ENGINES", "engines_at_work", "tap_signature"]

ENGINES = (
    "front end", "loader", "feeder", "drain", "requantize", "code table", "softmax", "layernorm", "writeback",
    "row engine", "act memory", "residual memory")
"""What the debug port tells the work of, by the bits of ``active``."""


def tap_signature(spec: AcceleratorSpec) -> wiring.Signature:
    """Return the debug port: every write to activation and residual memory, in the cycle in which it happens.

    ``act_command`` and ``residual_command`` are the numbers of the commands that write. ``act_data`` is a tile
    ``[row][col]`` at tile address ``act_address``; ``residual_data`` holds ``drain_cols`` columns ``[row]`` from
    ``residual_address`` on. ``beat`` is 1 when the array takes a beat, and ``done`` counts the commands that are
    complete. ``active`` has a bit for each of :data:`ENGINES` that is 1 in a cycle in which it does something for the
    command of that number in ``commands``, see :func:`engines_at_work`. Unconnected, the port costs nothing.
    """
    return wiring.Signature({
        "act_valid": Out(1), "act_command": Out(FIELD_BITS),
        "act_address": Out(range(spec.act_words * spec.word_tiles)), "act_data": Out(unsigned(spec.tile_bits)),
        "residual_valid": Out(1), "residual_command": Out(FIELD_BITS),
        "residual_address": Out(range(spec.residual_words)),
        "residual_data": Out(unsigned(spec.residual_word_bits * spec.drain_cols)),
        "beat": Out(1), "done": Out(FIELD_BITS),
        "active": Out(len(ENGINES)), "commands": Out(data.ArrayLayout(FIELD_BITS, len(ENGINES))),
    })


def engines_at_work(m: Module, parts: Mapping[str, wiring.Component], columns) -> tuple[Cat, Cat]:
    """Return ``active`` and ``commands`` of :func:`tap_signature` from the parts of the core.

    The front end takes a model word, the loader reads keys or values, the feeder issues a beat, the drain takes columns
    out of the array, requantize gives columns, the code table takes columns, softmax gives codes, LayerNorm takes a
    channel, writeback and row engine write. A memory is read or written; the command is then the writer's, or if there
    is none the reader's. ``columns`` is the command of the columns that leave requantize.
    """
    front, feeder, drain, requantize, table, softmax, norm, writeback, rows, activations, residual = (
        parts[name] for name in (
            "front", "feeder", "drain", "requantize_0", "table", "softmax", "norm", "writeback", "rows", "activations",
            "residual"))
    fed = delay(m, feeder.index, 1, 2, name="fed")  # the feeder reads two cycles after it issues a beat
    act_reader = Mux(front.read.en, front.index, fed)
    residual_reader = Mux(writeback.residual_read.en, writeback.index, rows.index)
    work = {
        "front end": (front.i.valid & front.i.ready, front.index),
        "loader": (front.read.en, front.index),
        "feeder": (feeder.issued, feeder.index),
        "drain": (drain.channels.en, drain.tag.index),
        "requantize": (requantize.o.valid, columns),
        "code table": (table.i.valid & table.i.ready, Mux(table.i.p.tag, columns, rows.index)),
        "softmax": (softmax.o.valid & softmax.o.ready, rows.index),
        "layernorm": (norm.i.valid & norm.i.ready, rows.index),
        "writeback": (writeback.act.en | writeback.residual_write.en, writeback.index),
        "row engine": (rows.act.en & rows.grant, rows.index),
        "act memory": (activations.read.en | activations.write.en, Mux(
            writeback.act.en, writeback.index, Mux(rows.act.en, rows.index, act_reader))),
        "residual memory": (residual.read.en | residual.write.en, Mux(
            front.residual.en, front.index, Mux(residual.write.en, writeback.index, residual_reader))),
    }
    return Cat(work[name][0] for name in ENGINES), Cat(work[name][1] for name in ENGINES)
