"""What a command must fulfil before anything is done with it."""

from amaranth.hdl import Cat, Value
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import Opcode, Target

from .layouts import opcode, target

__all__ = ["is_malformed", "is_too_large"]


def is_malformed(command, index, commands) -> Value:
    """Return whether ``command`` cannot be the one of number ``index`` in a stream of ``commands`` (BAD_COMMAND).

    Opcode and target must exist, the number must be right, END must be the last and only the last, waits must be for
    earlier commands, and no count of a loop may be zero.
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
    )


def is_too_large(command, spec: AcceleratorSpec) -> Value:
    """Return whether a size of ``command`` is beyond what ``spec`` has room for (CAPACITY).

    Addresses are checked where memory is written.
    """
    is_product, is_norm = opcode(command) == Opcode.MATMUL, opcode(command) == Opcode.NORM
    channels = command.set_tiles * spec.cols
    return (
        (is_norm & ((command.columns > spec.max_embed) | (command.columns > spec.channel_words)))
        | (is_product & ((command.set_words > spec.weight_words) | (channels > spec.channel_words)))
        | (is_product & (target(command) == Target.SOFTMAX) & (command.columns > spec.max_tokens))
        | (is_product & (target(command) == Target.LOGITS) & (command.dst_stride > spec.max_classes))
    )
