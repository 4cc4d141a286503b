"""Payload shapes that the parts of the accelerator exchange."""

from amaranth.hdl import Const, Shape, signed, unsigned
from amaranth.lib import data
from amaranth.utils import exact_log2
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import COMMAND_FIELDS, FIELD_BITS, HEADER_FIELDS, SIGNED_FIELDS, Flag

__all__ = [
    "AFFINE", "CHANNEL", "COLUMN_TAG", "COMMAND", "HEADER", "STATUS", "act_tile", "act_word", "array_beat",
    "array_result", "code_lanes", "exceeds", "flag", "input_column", "model_word", "opcode", "planes",
    "residual_column", "target", "tile_address", "weight_word",
]

COMMAND = data.StructLayout({
    name: (signed if name in SIGNED_FIELDS else unsigned)(FIELD_BITS) for name in COMMAND_FIELDS
})
"""A decoded command block."""

HEADER = data.StructLayout({name: FIELD_BITS for name in HEADER_FIELDS})
"""The header block."""

CHANNEL = data.StructLayout({"bias": signed(32), "multiplier": unsigned(16), "shift": unsigned(8), "zero": unsigned(8)})
"""Channel word of a matrix product."""

AFFINE = data.StructLayout({"beta": signed(32), "gamma": signed(16), "zero": unsigned(16)})
"""Channel word of NORM: the same 64 bits."""

COLUMN_TAG = data.StructLayout({"target": unsigned(2), "table": unsigned(1), "last": unsigned(1), "offset": signed(16)})
"""What travels beside a column through the requantize unit: :class:`~vitric.golden.spec.command.Target`, whether
the code table applies, last column of its row, softmax offset."""

STATUS = data.StructLayout({"error": unsigned(8), "command": unsigned(16)})
"""One per model stream: :class:`~vitric.golden.spec.command.ErrorCode` and the command being read when it arose."""


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


def code_lanes(spec: AcceleratorSpec) -> data.ArrayLayout:
    """Return one unsigned code for each of ``rows`` tokens."""
    return data.ArrayLayout(unsigned(spec.code_bits), spec.rows)


def input_column(spec: AcceleratorSpec) -> data.StructLayout:
    """Return one channel of ``rows`` patches: 8-bit pixels, ``last`` on the final column of an image."""
    return data.StructLayout({"pixel": code_lanes(spec), "last": 1})
