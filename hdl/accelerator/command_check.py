"""What a command must fulfil before anything is done with it."""

from amaranth.hdl import Cat, Mux, Value
from amaranth.utils import exact_log2
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import FIELD_BITS, PASS_LAST, Flag, Opcode, Target
from vitric.golden.spec.limits import field_limits

from .layouts import exceeds, flag, opcode, planes, target

__all__ = ["is_malformed", "is_too_large"]


def is_malformed(command, index, commands, has_table, spec: AcceleratorSpec) -> Value:
    """Return whether ``command`` cannot be the one of number ``index`` in a stream of ``commands`` (BAD_COMMAND).

    Opcode and target must exist, the number must be right, END must be the last and only the last, waits must be for
    earlier commands, no count of a loop may be zero, and the fields must fit one another. ``has_table`` says that the
    stream has loaded a code table before.
    """
    is_end = opcode(command) == Opcode.END
    is_product = opcode(command) == Opcode.MATMUL
    counts = (command.groups, command.columns)
    product = (command.k_words, command.sets, command.set_tiles, command.set_words, command.tile_words)
    return (
        (opcode(command) > Opcode.MATMUL) | (command.opcode[10:] != 0)  # targets are 0 to 3
        | (command.index != index)
        | (is_end != (index == commands))
        | (command.a_wait >= index) | (command.w_wait >= index)
        | (~is_end & Cat(count == 0 for count in counts).any())
        | (is_product & Cat(count == 0 for count in product).any())
        | _has_wrong_rows(command, spec)
        | (is_product & (_has_wrong_passes(command) | _has_wrong_operands(command, has_table)))
        | (is_product & (command.low > command.high))
        | (~is_end & exceeds(planes(command), spec.code_planes - 1))
    )


def _has_wrong_rows(command, spec) -> Value:
    """Return whether the columns of a row are not those of its tiles: what is written, what a product computes."""
    log2_cols = exact_log2(spec.cols)
    written = command.row_tiles << log2_cols
    is_product = opcode(command) == Opcode.MATMUL
    is_load = opcode(command) == Opcode.LOAD
    is_padded = ~is_product & ~is_load | (target(command) == Target.SOFTMAX)  # zeros up to a whole tile
    return (
        (opcode(command) != Opcode.END) & (command.columns != written) & ~(is_padded & (command.columns < written))
        | (is_product & (command.columns > command.set_tiles << log2_cols))
    )


def _has_wrong_passes(command) -> Value:
    """Return whether the passes have no end, or read other planes of weights than a tile has: one, or two."""
    passes = Cat(command.passes01, command.passes23)
    passes = [passes.word_select(number, 8) for number in range(2 * FIELD_BITS // 8)]
    last, low, high = (Cat(word[bit] for word in passes).any() for bit in (exact_log2(PASS_LAST), 2, 3))
    return ~last | high | (command.tile_words != Mux(low, command.k_words << 1, command.k_words))


def _has_wrong_operands(command, has_table) -> Value:
    """Return whether the code table was never loaded or has no place in the command, or biases are of no keys."""
    through_table = flag(command, Flag.TABLE)
    return (
        (through_table & ~flag(command, Flag.NEW_TABLE) & ~has_table)
        | (through_table & ((target(command) == Target.RESIDUAL) | (target(command) == Target.LOGITS)))
        | (flag(command, Flag.KEY_BIAS) & ~flag(command, Flag.WEIGHTS_ACT))
    )


def is_too_large(command, spec: AcceleratorSpec) -> Value:
    """Return whether a size of ``command`` is beyond what ``spec`` has room for (CAPACITY).

    The sizes are those of :func:`~vitric.golden.spec.limits.field_limits`. Addresses are checked by the memories.
    """
    def any_exceeds(limits):
        return Cat(exceeds(command[name], limit) for name, limit in limits.items()).any()

    is_product = opcode(command) == Opcode.MATMUL
    return Cat(
        *((opcode(command) == code) & any_exceeds(field_limits(spec, code)) for code in Opcode if code != Opcode.END),
        *(is_product & (target(command) == kind) & any_exceeds(field_limits(spec, Opcode.MATMUL, kind))
          for kind in Target),
    ).any()
