"""The largest sizes that the fields of a command may state: more than that no memory of the accelerator can hold."""

from .accelerator import AcceleratorSpec
from .command import FIELD_BITS, Opcode, Target

__all__ = ["field_bits", "field_limits"]


def field_limits(spec: AcceleratorSpec, opcode: Opcode, target: Target | None = None) -> dict[str, int]:
    """Return the largest legal value of each limited field of a command, by its name in ``COMMAND_FIELDS``.

    Parameters
    ----------
    spec : AcceleratorSpec
    opcode : Opcode
        For END nothing is limited.
    target : Target, optional
        Of a MATMUL: what it adds to the limits of every MATMUL; those alone without it.
    """
    tiles = spec.act_words * spec.word_tiles  # of activation memory
    written = {"groups": -(-spec.max_tokens // spec.rows), "row_tiles": tiles, "code_high": (1 << spec.code_bits) - 1}
    match opcode, target:
        case Opcode.LOAD, _:
            return {"groups": written["groups"], "columns": spec.residual_words}
        case Opcode.INPUT, _:
            return written
        case Opcode.NORM, _:
            return {**written, "columns": spec.max_embed}
        case Opcode.MATMUL, None:
            return {**written, **dict.fromkeys(("k_words", "tile_words", "set_words"), spec.weight_words),
                    "set_tiles": spec.channel_words // spec.cols}
        case Opcode.MATMUL, Target.CODES:
            return {"sets": tiles}
        case Opcode.MATMUL, Target.SOFTMAX:
            return {"sets": 1, "columns": spec.max_tokens}
        case Opcode.MATMUL, Target.RESIDUAL:
            return {"sets": spec.residual_words // spec.cols}
        case Opcode.MATMUL, Target.LOGITS:
            return {"sets": -(-spec.max_classes // spec.cols), "dst_stride": spec.max_classes}
    return {}


def field_bits(spec: AcceleratorSpec, name: str, *opcodes: Opcode) -> int:
    """Return how many low bits of a field hold its largest legal value in commands with one of ``opcodes``."""
    def largest(opcode: Opcode) -> int:
        unlimited = (1 << FIELD_BITS) - 1
        everywhere = field_limits(spec, opcode)
        if opcode is not Opcode.MATMUL or name in everywhere:
            return everywhere.get(name, unlimited)
        if name == "columns":  # those of the tiles of a set
            return max(spec.channel_words, spec.max_tokens)
        return max(field_limits(spec, opcode, target).get(name, unlimited) for target in Target)

    return max(largest(opcode) for opcode in opcodes).bit_length()
