"""The multiply-accumulate array as an integer function of its beats."""

import torch

from ..arith import assert_fits, assert_integer, integer_matmul
from ..spec.mac import MacArraySpec

__all__ = ["mac_array"]


def _check_shape(name: str, tensor: torch.Tensor, shape: tuple[int, ...]) -> None:
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{name} must have shape {shape}, not {tuple(tensor.shape)}")


def mac_array(
    spec: MacArraySpec, a: torch.Tensor, w: torch.Tensor, first: torch.Tensor, last: torch.Tensor,
    shift: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the accumulators that the array emits for a sequence of N beats.

    Beat n computes ``dot[r][c] = sum_d a[n][r][d] * w[n][c][d]`` and then
    ``acc = (0 if first[n] else acc << spec.shifts[shift[n]]) + dot``; where ``last[n]``, ``acc`` is emitted.
    The shift of a beat with ``first`` has no effect. The first beat of all must have it.

    Parameters
    ----------
    spec : MacArraySpec
        Shape and widths.
    a : torch.Tensor
        Unsigned activations, integers of shape (N, rows, depth).
    w : torch.Tensor
        Signed narrow-range weights, integers of shape (N, cols, depth).
    first, last : torch.Tensor
        Integers 0 or 1 of shape (N,).
    shift : torch.Tensor, optional
        Indices into ``spec.shifts`` of shape (N,); all 0 if left out.

    Returns
    -------
    torch.Tensor
        int64 of shape (M, rows, cols), M the number of beats with ``last``, in their order.

    Raises
    ------
    TypeError
        An operand is not an integer tensor.
    ValueError
        A shape does not match the spec, a weight is ``-2**(w_bits-1)``, or the first beat has no ``first``.
    OverflowError
        An operand does not fit its width, or an accumulator passes ``acc_bits`` (it would wrap in hardware).
    """
    assert_integer(a=a, w=w, first=first, last=last)
    beats = a.shape[0]
    shift = torch.zeros(beats, dtype=torch.int64) if shift is None else shift
    assert_integer(shift=shift)
    _check_shape("a", a, (beats, spec.rows, spec.depth))
    _check_shape("w", w, (beats, spec.cols, spec.depth))
    for name, flags, limit in ("first", first, 2), ("last", last, 2), ("shift", shift, len(spec.shifts)):
        _check_shape(name, flags, (beats,))
        if beats and not (0 <= int(flags.min()) and int(flags.max()) < limit):
            raise ValueError(f"{name} must lie between 0 and {limit - 1}")
    if beats and not int(first[0]):
        raise ValueError("the first beat must begin an accumulation (first = 1)")
    assert_fits("a", a, spec.a_bits, signed=False)
    assert_fits("w", w, spec.w_bits)
    if w.numel() and int(w.min()) < -spec.w_max:
        raise ValueError(f"w must lie between {-spec.w_max} and {spec.w_max} (narrow range), not {int(w.min())}")

    bound = spec.depth * spec.a_max * spec.w_max
    dots = integer_matmul(a, w.transpose(1, 2), bound=bound)
    acc = None
    emitted = []
    for dot, is_first, is_last, index in zip(dots, first.tolist(), last.tolist(), shift.tolist(), strict=True):
        acc = dot if is_first else (acc << spec.shifts[index]) + dot
        assert_fits("acc", acc, spec.acc_bits)
        if is_last:
            emitted.append(acc)
    return torch.stack(emitted) if emitted else torch.zeros(0, spec.rows, spec.cols, dtype=torch.int64)
