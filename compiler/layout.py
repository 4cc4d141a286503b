"""Where tensors lie in activation memory: layouts, planes and passes, and the allocation by lifetime."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from vitric.golden.errors import UserError
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import MAX_PASSES, PASS_LAST, pack_pass

__all__ = [
    "Activation", "Address", "Buffer", "CompileError", "Misfit", "allocate", "ceil_div", "plane_passes",
]


def ceil_div(number: int, divisor: int) -> int:
    """Return ``number / divisor`` rounded up."""
    return -(-number // divisor)


@dataclass(frozen=True)
class Misfit:
    """One capacity that a model exceeds: ``parameter`` of the spec, what is ``needed``, what is ``available``."""

    parameter: str
    needed: int | str
    available: int | str
    where: str

    def __str__(self) -> str:
        return f"{self.where} needs {self.parameter} {self.needed}, not {self.available}"


class CompileError(UserError, ValueError):
    """The model does not fit the accelerator; :attr:`misfits` lists everything that does not."""

    def __init__(self, spec: AcceleratorSpec, misfits: Sequence[Misfit]):
        self.misfits = tuple(misfits)
        super().__init__(f"the model does not fit {spec.name}: " + "; ".join(map(str, misfits)))


@dataclass(eq=False)
class Buffer:
    """A piece of activation memory and the commands between which it is alive.

    Attributes
    ----------
    name : str
        Of the tensor in it.
    words : int
        Size, all planes.
    first, last : int
        Index of the first command that writes it and of the last one that reads it.
    base : int
        Word address, once allocated.
    """

    name: str
    words: int
    first: int | None = None
    last: int | None = None
    base: int | None = None

    def use(self, index: int) -> None:
        """Note that command ``index`` writes or reads it."""
        self.first = index if self.first is None else self.first
        self.last = index


@dataclass(frozen=True)
class Address:
    """Word ``offset`` of a buffer that is not yet allocated."""

    buffer: Buffer
    offset: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Activation:
    """A tensor in activation memory as operand of a product.

    Attributes
    ----------
    buffer : Buffer
    words : int
        Words of one row group and plane: its group stride (transposed: of one channel tile and plane).
    planes, plane_words : int
        Code planes and the words between them.
    bits : int
        Width of the code.
    channel_map : int64 array (K,)
        Position of each channel among the ``words * depth`` channels of a row group; the positions between them
        are padding.
    writer : int
        Index of the last command that writes it.
    pace : int
        Cycles in which that writes a row group, or 0 if no reader ever waits for it.
    """

    buffer: Buffer
    words: int
    planes: int
    plane_words: int
    bits: int
    channel_map: np.ndarray = field(repr=False)
    writer: int
    pace: int = 0


def plane_passes(spec: AcceleratorSpec, a_planes: int, w_planes: int) -> dict[str, int] | None:
    """Return the fields ``passes01`` and ``passes23`` of a product of planes, or ``None`` if it has too many passes.

    Horner's rule over the weights ``2**(a_plane * a_bits + w_plane * w_bits)`` of the passes, largest first: the
    shift of a pass, applied to the accumulator on its first beat, is the distance to the pass before it.
    """
    weights = sorted(((a * spec.a_bits + w * spec.w_bits, a, w) for a in range(a_planes) for w in range(w_planes)),
                     reverse=True)
    if len(weights) > MAX_PASSES:
        return None
    codes, before = [0] * MAX_PASSES, weights[0][0]
    for number, (weight, a, w) in enumerate(weights):
        if before - weight not in spec.mac.shifts:
            return None
        codes[number] = pack_pass(a_plane=a, w_plane=w, shift=spec.mac.shifts.index(before - weight), last=False)
        before = weight
    codes[len(weights) - 1] |= PASS_LAST
    return {"passes01": codes[0] | codes[1] << 8, "passes23": codes[2] | codes[3] << 8}


def _place(buffers: Sequence[Buffer]) -> tuple[list[int], int]:
    """Return first-fit addresses for ``buffers`` in their order, and the words that they take together."""
    placed: list[tuple[Buffer, int]] = []
    for buffer in buffers:
        taken = sorted((base, base + other.words) for other, base in placed
                       if other.first <= buffer.last and buffer.first <= other.last)
        base = 0
        for low, high in taken:
            if low - base >= buffer.words:
                break
            base = max(base, high)
        placed.append((buffer, base))
    return [base for _, base in placed], max((base + buffer.words for buffer, base in placed), default=0)


def allocate(buffers: Sequence[Buffer]) -> int:
    """Give every buffer an address such that buffers that are alive together do not overlap.

    A buffer is alive from its first to its last use, both included, because a command reads its operand again for
    each weight set while it already writes its result. The result of a NORM counts from the command that writes its
    operand on, beside which it works. First fit in the order of use or by decreasing size,
    whichever takes less memory.

    Returns
    -------
    int
        Words of memory taken.
    """
    orders = [sorted(buffers, key=lambda b: b.first), sorted(buffers, key=lambda b: (-b.words, b.first))]
    order, (bases, peak) = min(((order, _place(order)) for order in orders), key=lambda item: item[1][1])
    for buffer, base in zip(order, bases, strict=True):
        buffer.base = base
    return peak
