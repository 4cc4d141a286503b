"""Payload shapes that the parts of the accelerator exchange."""

from amaranth.hdl import Const, Shape, Signal, signed, unsigned
from amaranth.lib import data
from amaranth.utils import exact_log2
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import COMMAND_FIELDS, FIELD_BITS, HEADER_FIELDS, SIGNED_FIELDS, Flag, Opcode
from vitric.golden.spec.limits import field_bits

__all__ = [
    "AFFINE", "CHANNEL", "COMMAND", "DRAIN_COMMAND", "HEADER", "PRODUCT_COMMAND", "PROGRESS", "ROW_COMMAND", "STATUS",
    "WRITE_COMMAND", "act_tile", "act_word", "affine_group", "array_beat", "array_result", "assign", "channel_group",
    "code_columns", "code_lanes", "column_tag", "dispatch", "exceeds", "flag", "held", "input_column", "logit_beat",
    "model_word", "opcode", "planes", "residual_beat", "residual_column", "target", "tile_address", "value_columns",
    "weight_word",
]

COMMAND = data.StructLayout({
    name: (signed if name in SIGNED_FIELDS else unsigned)(FIELD_BITS) for name in COMMAND_FIELDS
})
"""A decoded command block."""



def _part(*names: str) -> data.StructLayout:
    """Return the layout of some fields of a command."""
    return data.StructLayout({name: COMMAND.members[name] for name in names})


DRAIN_COMMAND = _part("opcode", "flags", "index", "groups", "sets", "set_tiles", "columns", "zero_point", "low",
                      "high", "offset")
"""What the drain needs of a MATMUL."""

WRITE_COMMAND = _part("opcode", "flags", "index", "groups", "sets", "row_tiles", "dst_base", "dst_stride",
                      "dst_plane_stride")
"""What the writeback needs of a MATMUL."""

PRODUCT_COMMAND = _part(
    "a_wait", "a_base", "a_group_stride", "a_plane_stride", "k_words", "set_words", "tile_words", "passes01",
    "passes23", *dict.fromkeys([*DRAIN_COMMAND.members, *WRITE_COMMAND.members]))
"""What the feeder needs of a MATMUL, and what it hands on."""

ROW_COMMAND = _part(
    "opcode", "flags", "index", "a_wait", "a_base", "a_group_stride", "groups", "columns", "row_tiles", "dst_base",
    "dst_stride", "dst_plane_stride", "code_high", "inverse0", "inverse1", "inverse2", "norm", "exponent")
"""What the row engine needs of INPUT, NORM, LOAD, and of a MATMUL whose results are softmax codes."""

HEADER = data.StructLayout({name: FIELD_BITS for name in HEADER_FIELDS})
"""The header block."""

CHANNEL = data.StructLayout({"bias": signed(32), "multiplier": unsigned(16), "shift": unsigned(8), "zero": unsigned(8)})
"""Channel word of a matrix product."""

AFFINE = data.StructLayout({"beta": signed(32), "gamma": signed(16), "zero": unsigned(16)})
"""Channel word of NORM: the same 64 bits."""

PROGRESS = data.StructLayout({"index": FIELD_BITS, "groups": FIELD_BITS})
"""The command at which an engine that writes is, and how many of its row groups are complete in memory."""

STATUS = data.StructLayout({"error": unsigned(8), "command": unsigned(16)})
"""One per model stream: :class:`~vitric.golden.spec.command.ErrorCode` and the command being read when it arose."""


def assign(target, source) -> list:
    """Return the statements that copy the fields of ``target`` from a command that has them all."""
    return [target[name].eq(source[name]) for name in target.shape().members]


def dispatch(spec: AcceleratorSpec, target, source, *opcodes: Opcode) -> list:
    """Return the statements of :func:`assign` for a checked command of ``opcodes``: bits that are 0 are constants."""
    return [target[name].eq(source[name] if name in SIGNED_FIELDS else source[name][:field_bits(spec, name, *opcodes)])
            for name in target.shape().members]


def held(m, spec: AcceleratorSpec, port, load) -> data.View:
    """Return the command of an engine: what was at its input in the last cycle with ``load``.

    Without queues for commands (``spec.command_queue`` is 0) that is the input itself, which then holds for as long as
    the command takes.
    """
    if spec.command_queue == 0:
        return port.payload
    command = Signal(port.payload.shape(), name="command", reset_less=True)
    with m.If(load):
        m.d.sync += command.eq(port.payload)
    return command


def opcode(command):
    """Return the opcode bits of a command."""
    return command.opcode[0:8]


def target(command):
    """Return the target bits of a command."""
    return command.opcode[8:12]


def exceeds(value, limit: int):
    """Return whether an unsigned value is greater than a constant, in look-up tables, without a carry chain."""
    greater = Const(0)
    for at, bit in enumerate(value):
        greater = bit & greater if limit >> at & 1 else bit | greater
    return greater if limit < 1 << len(value) else Const(0)


def flag(command, bit: Flag):
    """Return the bit of a command's flags."""
    return command.flags[int(bit).bit_length() - 1]


def planes(command):
    """Return the number of planes less one of the code that a command writes."""
    return command.flags[8:10]


def model_word(spec: AcceleratorSpec) -> data.StructLayout:
    """Return the payload of the model stream: one word, ``last`` on the final word of a stream."""
    return data.StructLayout({"data": spec.model_bits, "last": 1})


def tile_address(spec: AcceleratorSpec) -> Shape:
    """Return the shape of a tile address of a command: 16 bits for the word, so that none wraps to a legal one."""
    return unsigned(FIELD_BITS + exact_log2(spec.word_tiles))


def weight_word(spec: AcceleratorSpec) -> data.ArrayLayout:
    """Return one array word of weights: ``[col][depth]``."""
    return data.ArrayLayout(data.ArrayLayout(signed(spec.w_bits), spec.depth), spec.cols)


def channel_group(spec: AcceleratorSpec) -> data.ArrayLayout:
    """Return what the channel ring holds side by side: channel words of successive channels."""
    return data.ArrayLayout(CHANNEL, spec.channel_group)


def affine_group(spec: AcceleratorSpec) -> data.ArrayLayout:
    """Return the affine constants that one model word brings, or those that several bring: one."""
    return data.ArrayLayout(AFFINE, max(1, spec.model_bits // AFFINE.size))


def act_tile(spec: AcceleratorSpec) -> data.ArrayLayout:
    """Return what activation memory is written in: ``[row][col]``."""
    return data.ArrayLayout(data.ArrayLayout(unsigned(spec.element_bits), spec.cols), spec.rows)


def act_word(spec: AcceleratorSpec) -> data.ArrayLayout:
    """Return one word of activation memory: ``[row][depth]``."""
    return data.ArrayLayout(data.ArrayLayout(unsigned(spec.element_bits), spec.depth), spec.rows)


def array_beat(spec: AcceleratorSpec) -> data.StructLayout:
    """Return the array's input: :class:`vitric.hdl.mac.array.MacArray` of ``spec.mac``."""
    return data.StructLayout({
        "a": data.ArrayLayout(data.ArrayLayout(unsigned(spec.a_bits), spec.depth), spec.rows), "w": weight_word(spec),
        "first": 1, "last": 1, "shift": range(len(spec.mac.shifts)),
    })


def array_result(spec: AcceleratorSpec) -> data.StructLayout:
    """Return the array's output: one tile of accumulators."""
    return data.StructLayout({"acc": data.ArrayLayout(data.ArrayLayout(signed(spec.acc_bits), spec.cols), spec.rows)})


def residual_column(spec: AcceleratorSpec) -> data.ArrayLayout:
    """Return one channel of ``rows`` tokens of the residual stream."""
    return data.ArrayLayout(signed(spec.residual_bits), spec.rows)


def residual_beat(spec: AcceleratorSpec) -> data.ArrayLayout:
    """Return ``drain_cols`` successive channels of the residual stream, ``[column][row]``: a word of its memory."""
    return data.ArrayLayout(residual_column(spec), spec.drain_cols)


def column_tag(spec: AcceleratorSpec) -> data.StructLayout:
    """Return what travels beside ``drain_cols`` columns through the requantize units.

    :class:`~vitric.golden.spec.command.Target`; whether the code table applies; for softmax the last columns of a row,
    which of the columns belong to it, and its offset; the command, which only the debug port reads.
    """
    return data.StructLayout({
        "target": unsigned(2), "table": 1, "last": 1, "mask": unsigned(spec.drain_cols), "offset": signed(FIELD_BITS),
        "index": unsigned(FIELD_BITS)})


def value_columns(spec: AcceleratorSpec) -> data.ArrayLayout:
    """Return ``drain_cols`` columns of requantized values, ``[column][row]``."""
    return data.ArrayLayout(data.ArrayLayout(signed(spec.requantize.code_bits), spec.rows), spec.drain_cols)


def code_columns(spec: AcceleratorSpec) -> data.ArrayLayout:
    """Return ``drain_cols`` columns of unsigned codes, ``[column][row]``."""
    return data.ArrayLayout(code_lanes(spec), spec.drain_cols)


def logit_beat(spec: AcceleratorSpec) -> data.StructLayout:
    """Return up to ``drain_cols`` logits of successive classes: the first ``count`` plus one."""
    return data.StructLayout({
        "value": data.ArrayLayout(signed(spec.residual_bits), spec.drain_cols), "count": range(spec.drain_cols)})


def code_lanes(spec: AcceleratorSpec) -> data.ArrayLayout:
    """Return one unsigned code for each of ``rows`` tokens."""
    return data.ArrayLayout(unsigned(spec.code_bits), spec.rows)


def input_column(spec: AcceleratorSpec) -> data.StructLayout:
    """Return one channel of ``rows`` patches: 8-bit pixels, ``last`` on the final column of an image."""
    return data.StructLayout({"pixel": code_lanes(spec), "last": 1})
