"""The model stream: its header, its commands and the order of their operands.

A model stream is a sequence of *model words* of ``model_bits`` bits (32, 64 or 128), little-endian in a file.
It is consumed once per inference, strictly in order::

    header block
    command block, its operands          repeated; the last command is END
    END block                            its last word carries the stream's ``last`` flag

A *block* is a list of 16-bit fields, little-endian, padded with zeros to a whole number of model words, followed
by one *check word*: its low 32 bits are the CRC-32 (the common one: polynomial 0x04C11DB7 reflected, initial
value and final XOR 0xFFFFFFFF, as zlib's) of every model word before it, from the start of the stream, check
words included; its other bits are zero. A block therefore proves all that precedes it, so a damaged command is
never executed and a damaged operand never leads to logits.

Operands start on a model word each:

``table``
    Only for a MATMUL with the ``new_table`` flag: the entries of the code table, 8 bits each, entry 0 first.
for each of ``sets`` weight sets:
    ``channels``
        ``set_tiles * cols`` *channel words* of 64 bits, as many to a model word as it holds: bias (signed 32),
        multiplier (unsigned 16), index into ``RequantizeSpec.scalings`` (unsigned 8), zero (8). Absent with the
        ``key_bias`` flag. For NORM: one channel word per embedding channel, zeros up to a whole model word: beta
        (signed 32), gamma (signed 16), zero (16); no weights follow.
    ``weights``
        ``set_words`` *array words* of ``cols * depth * w_bits`` bits: for each tile of the set, for each weight
        plane (least significant first), for each of ``k_words`` steps: element ``c * depth + d`` is the digit of
        output channel ``tile * cols + c`` and input channel ``step * depth + d``. Absent with ``weights_act``.
for LOAD: ``groups * columns`` *residual words* of ``rows * residual_bits`` bits: for each row group, for each
    channel: one value for each of ``rows`` tokens.

Array words, residual words and channel words each take a whole number of model words, at least one, least
significant model word first; unused high bits are zero. Table entries fill model words without gaps.
"""

import enum

__all__ = [
    "CHANNEL_BITS", "COMMAND_FIELDS", "ErrorCode", "FIELD_BITS", "Flag", "HEADER_FIELDS", "LIMIT_MAX", "MAGIC",
    "MAX_PASSES", "Opcode", "PASS_LAST", "SIGNED_FIELDS", "TABLE_ENTRY_BITS", "Target", "VERSION", "VERSION_BITS",
    "pack_pass",
]

MAGIC = 0x43525456  # b"VTRC"
VERSION = 4
VERSION_BITS = 8
LIMIT_MAX = 31
FIELD_BITS = 16
CHANNEL_BITS = 64
TABLE_ENTRY_BITS = 8
MAX_PASSES = 4

HEADER_FIELDS = ("magic_low", "magic_high", "version", "spec_low", "spec_high", "words_low", "words_high", "commands")
"""Fields of the header block.

Magic; version in bits 0..7, in bits 8..12 the binary logarithm of the most cycles that the stream may take, 0 to
``LIMIT_MAX``, in bits 13..15 zeros; hash of the spec; length of the stream in model words (header and check words
included); number of commands (END included).
"""

COMMAND_FIELDS = (
    "opcode",              # Opcode in bits 0..7, Target in bits 8..11
    "flags",               # Flag bits; planes of the written code less one in bits 8..9
    "index",               # 1 for the first command of the stream, then counting up
    "a_wait",              # command that must have written what is read of operand A: row group by row group, or with
                           # the ``whole`` flag, and in a LOAD, it and all before it everything
    "w_wait",              # commands that must have written all their results before weights are read (weights_act)
    "a_base",              # activation word address of operand A: row group 0, plane 0, step 0
    "a_group_stride",      # words between row groups of A
    "a_plane_stride",      # words between planes of A
    "k_words",             # steps of `depth` terms in one pass of a dot product
    "groups",              # row groups (of `rows` tokens) to process
    "sets",                # weight sets, processed one after the other
    "set_tiles",           # tiles (of `cols` output channels) in one set
    "set_words",           # array words of weights in one set: set_tiles * w_planes * k_words
    "tile_words",          # array words of weights in one tile: w_planes * k_words
    "passes01",            # passes 0 and 1, one byte each: see pack_pass
    "passes23",            # passes 2 and 3
    "w_base",              # activation word address of the weights (weights_act): set 0, tile 0, plane 0, step 0
    "w_tile_stride",       # words between tiles (weights_act)
    "w_set_stride",        # words between sets (weights_act)
    "w_plane_stride",      # words between planes (weights_act)
    "dst_base",            # activation or residual address of the result
    "dst_stride",          # words between row groups (transposed: between tiles; residual: columns of one group;
                           # logits: number of logits, the columns after them are dropped)
    "dst_plane_stride",    # words between planes of the result
    "columns",             # row length: keys of a softmax row, channels of NORM, LOAD and INPUT, else set_tiles * cols
    "row_tiles",           # tiles written per row group: columns / cols rounded up, and up to whole words for softmax
    "zero_point",          # of the requantized code (signed)
    "low",                 # clamp of the requantized code (signed)
    "high",                # clamp of the requantized code (signed)
    "key_zero",            # zero point of A that key_bias removes
    "key_multiplier",      # multiplier of every channel with key_bias
    "key_shift",           # index into RequantizeSpec.scalings of every channel with key_bias
    "offset",              # softmax: step of the code (signed)
    "code_high",           # largest code written: softmax, NORM and INPUT codes are clamped to it
    "inverse0",            # NORM: bits 0..15 of LayerNormSpec.row_constants(columns).inverse
    "inverse1",            # NORM: bits 16..31
    "inverse2",            # NORM: bits 32..47
    "norm",                # NORM: row_constants(columns).norm
    "exponent",            # NORM: row_constants(columns).exponent
)
"""Fields of a command block in stream order."""

SIGNED_FIELDS = frozenset({"zero_point", "low", "high", "offset"})


class Opcode(enum.IntEnum):
    """What a command does."""

    END = 0
    """Finish: wait for every command, check the stream, release the logits."""
    LOAD = 1
    """Fill the residual memory from the stream."""
    INPUT = 2
    """Write one image from the input port to activation memory."""
    NORM = 3
    """LayerNorm from residual memory to activation memory."""
    MATMUL = 4
    """Matrix product of activation words with weights from the stream or from activation memory."""


class Target(enum.IntEnum):
    """Where the result columns of a MATMUL go."""

    CODES = 0
    """Requantized codes to activation memory, through the code table with the ``table`` flag."""
    RESIDUAL = 1
    """Requantized values added to residual memory."""
    SOFTMAX = 2
    """Requantized scores through the softmax unit; its codes to activation memory, through the code table with the
    ``table`` flag."""
    LOGITS = 3
    """Requantized values of token 0 to the output port."""


class Flag(enum.IntFlag):
    """Bits of the ``flags`` field."""

    WEIGHTS_ACT = 1
    """Weights come from activation memory, not from the stream."""
    KEY_BIAS = 2
    """The bias of channel j is ``-key_zero * sum(weights of channel j) >> pre``; multiplier and scaling from fields."""
    TABLE = 4
    """Codes pass through the code table: GELU, or probabilities that are not uniform."""
    TRANSPOSE = 8
    """Tiles are written transposed: channels become rows."""
    SIGNED = 16
    """Codes are signed narrow codes: more than one plane means signed digits."""
    NEW_TABLE = 32
    """The operands begin with the code table. Without it the present one serves, the last of this stream."""
    WHOLE = 64
    """Operand A is read when all of it is written; its row groups need not be those of the command in ``a_wait``."""


PASS_LAST = 0x80


def pack_pass(*, a_plane: int, w_plane: int, shift: int, last: bool) -> int:
    """Return the byte of one pass.

    Plane of A (bits 0..1), plane of the weights (bits 2..3), Horner shift index of its first beat (bits 4..5),
    ``PASS_LAST`` on the last pass of the product.
    """
    return a_plane | w_plane << 2 | shift << 4 | (PASS_LAST if last else 0)


class ErrorCode(enum.IntEnum):
    """Codes of the status port."""

    OK = 0
    BAD_MAGIC = 1
    BAD_VERSION = 2
    BAD_SPEC = 3
    BAD_LENGTH = 4
    """The stream ended before or after the length that the header states."""
    BAD_CRC = 5
    BAD_COMMAND = 6
    """Unknown opcode, index out of order, a wait for a command that is not before it, or fields that contradict one
    another."""
    CAPACITY = 7
    """A size beyond the capacity of the spec, or an address beyond a memory."""
    BAD_IMAGE = 8
    """The image on the input port is shorter or longer than the INPUT command expects."""
    STALLED = 9
    """Not finished after the cycles that the header allows, every outside port being willing."""
    ABORTED = 10
    """The port ``abort`` asked for it."""
