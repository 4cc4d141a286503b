"""What the fields of a command must fulfil: the checks of the hardware, in software."""

from vitric.golden.errors import UserError
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import PASS_LAST, Flag, Opcode, Target
from vitric.golden.spec.limits import field_limits

__all__ = ["StreamError", "check_command"]


class StreamError(UserError, ValueError):
    """A model stream is damaged, truncated or meant for another accelerator."""


def check_command(fields: dict[str, int], index: int, spec: AcceleratorSpec, *, has_table: bool) -> None:
    """Check the fields of command ``index`` (1 for the first); those that pass are what the hardware accepts.

    ``has_table`` says that the stream has loaded a code table before.

    Raises
    ------
    StreamError
        Unknown opcode or target, index out of order, a wait for a command that is not before it, a count of 0, a size
        beyond the spec, fields that contradict one another.
    """
    opcode, target = fields["opcode"] & 0xFF, fields["opcode"] >> 8
    if opcode not in list(Opcode) or target not in list(Target):
        raise StreamError(f"command {index} has the unknown opcode {opcode} or target {target}")
    if fields["index"] != index:
        raise StreamError(f"command {index} has the index {fields['index']}")
    for name in ("a_wait", "w_wait"):
        if fields[name] >= index:
            raise StreamError(f"{name} of command {index} is {fields[name]}, not a command before it")
    if opcode == Opcode.END:
        return
    product = ("k_words", "sets", "set_tiles", "set_words", "tile_words") if opcode == Opcode.MATMUL else ()
    for name in ("groups", "columns", *product):
        if fields[name] == 0:
            raise StreamError(f"{name} of command {index} must be at least 1, not 0")
    limits = field_limits(spec, Opcode(opcode))
    if opcode == Opcode.MATMUL:
        limits = limits | field_limits(spec, Opcode.MATMUL, Target(target))
    for name, limit in limits.items():
        if fields[name] > limit:
            raise StreamError(f"{name} of command {index} must be at most {limit}, not {fields[name]}")
    planes = (fields["flags"] >> 8 & 3) + 1
    if planes > spec.code_planes:
        raise StreamError(f"command {index} writes {planes} planes of codes that have at most {spec.code_planes}")
    written = fields["row_tiles"] * spec.cols
    is_padded = opcode in (Opcode.INPUT, Opcode.NORM) or target == Target.SOFTMAX
    if not (fields["columns"] == written or is_padded and fields["columns"] < written):
        raise StreamError(f"command {index} has {fields['columns']} columns in {fields['row_tiles']} tiles of "
                          f"{spec.cols}")
    if opcode == Opcode.MATMUL:
        _check_product(fields, index, spec, has_table=has_table)


def _check_product(fields: dict[str, int], index: int, spec: AcceleratorSpec, *, has_table: bool) -> None:
    """Raise :exc:`StreamError` if the fields of a MATMUL contradict one another."""
    flags, target = Flag(fields["flags"] & 0xFF), fields["opcode"] >> 8
    passes = [fields[name] >> shift & 0xFF for name in ("passes01", "passes23") for shift in (0, 8)]
    planes = 1 + max(word >> 2 & 3 for word in passes)
    if planes > 2 or not any(word & PASS_LAST for word in passes):
        raise StreamError(f"command {index} has passes without an end, or over {planes} planes of weights: "
                          f"{' '.join(f'{word:#04x}' for word in passes)}")
    if (fields["tile_words"] != planes * fields["k_words"]
            or fields["set_words"] != fields["set_tiles"] * fields["tile_words"]):
        raise StreamError(f"command {index} has the inconsistent sizes k_words {fields['k_words']}, "
                          f"tile_words {fields['tile_words']}, set_words {fields['set_words']}")
    if fields["columns"] > fields["set_tiles"] * spec.cols:
        raise StreamError(f"command {index} has {fields['columns']} columns, its product "
                          f"{fields['set_tiles'] * spec.cols}")
    if fields["low"] > fields["high"]:
        raise StreamError(f"command {index} has the clamp low {fields['low']} above high {fields['high']}")
    if Flag.TABLE in flags and target in (Target.RESIDUAL, Target.LOGITS):
        raise StreamError(f"command {index} has a code table for {Target(target).name}")
    if Flag.TABLE in flags and Flag.NEW_TABLE not in flags and not has_table:
        raise StreamError(f"command {index} uses a code table before one is loaded")
    if Flag.KEY_BIAS in flags and Flag.WEIGHTS_ACT not in flags:
        raise StreamError(f"command {index} has key biases, but weights from the stream")
