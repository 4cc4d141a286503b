"""Integer arithmetic of the contract: one rounding, explicit saturation, exact matrix products.

Every function here takes and returns integer tensors and raises :exc:`TypeError` on anything else, so
no float can slip into the integer model unseen.
"""

import torch

__all__ = [
    "assert_fits", "assert_integer", "integer_matmul", "lookup", "requantize", "round_shift", "saturate",
    "join_planes", "split_signed", "split_unsigned", "nearest_signed_code", "signed_code_range",
]

_INTEGERS = (torch.int32, torch.int64)


def assert_integer(**tensors: torch.Tensor) -> None:
    """Raise :exc:`TypeError` naming the first argument that is not an int32 or int64 tensor."""
    for name, tensor in tensors.items():
        if not isinstance(tensor, torch.Tensor) or tensor.dtype not in _INTEGERS:
            kind = tensor.dtype if isinstance(tensor, torch.Tensor) else type(tensor).__name__
            raise TypeError(f"{name} must be an int32 or int64 tensor, not {kind}")


def assert_fits(name: str, x: torch.Tensor, bits: int, *, signed: bool = True) -> torch.Tensor:
    """Return ``x``; raise :exc:`OverflowError` if any element needs more than ``bits`` bits."""
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    if x.numel():
        least, largest = (int(end) for end in x.aminmax())
        if not low <= least <= largest <= high:
            raise OverflowError(f"{name} holds values {least}..{largest}, outside the {low}..{high} of "
                                f"{'signed' if signed else 'unsigned'} {bits} bits")
    return x


def round_shift(x: torch.Tensor, shift: int | torch.Tensor) -> torch.Tensor:
    """Divide by ``2**shift`` and round half up: ``(x + (1 << (shift - 1))) >> shift``; ``x`` for shift 0.

    ``shift`` is a non-negative integer or an integer tensor that broadcasts against ``x``.

    >>> round_shift(torch.tensor([-3, -2, -1, 1, 2, 3]), 1).tolist()
    [-1, -1, 0, 1, 1, 2]
    """
    assert_integer(x=x)
    shift = torch.as_tensor(shift)
    return (x + _half(shift)) >> shift


def _half(shift: torch.Tensor) -> torch.Tensor:
    """Return half of ``2**shift``, 0 for shift 0."""
    if (shift < 0).any():
        raise ValueError(f"shift must not be negative, not {int(shift.min())}")
    return torch.where(shift > 0, torch.ones_like(shift) << (shift - 1).clamp(min=0), torch.zeros_like(shift))


def saturate(x: torch.Tensor, low: int, high: int) -> torch.Tensor:
    """Clamp to ``low..high``, both included."""
    assert_integer(x=x)
    return x.clamp(low, high)


def requantize(
    acc: torch.Tensor, bias: torch.Tensor, multiplier: torch.Tensor, shift: torch.Tensor,
    *, zero_point: int, low: int, high: int, pre_shift: int | torch.Tensor = 0, operand_bits: int | None = None,
) -> torch.Tensor:
    """Bring accumulators to output codes.

    ``clamp(round_shift(((acc >> pre_shift) + bias) * multiplier, shift) + zero_point, low, high)``; with
    ``operand_bits``, a sum ``(acc >> pre_shift) + bias`` that does not fit so many signed bits, those of one hardware
    multiplier, counts as infinite and gives ``high`` or ``low`` by its sign.

    ``bias``, ``multiplier`` (unsigned, at most 16 bits), ``pre_shift`` and ``shift`` broadcast against ``acc``,
    normally one of each per output channel (the last axis). Arithmetic is int64 and cannot wrap for accumulators of
    up to 40 bits; the widths of the hardware are in :class:`vitric.golden.spec.requantize.RequantizeSpec`.
    """
    assert_integer(acc=acc, bias=bias, multiplier=multiplier, shift=shift)
    total = (acc.to(torch.int64) >> pre_shift) + bias
    full = torch.broadcast_tensors(total, multiplier, shift)[0]  # broadcast_shapes would load much of torch
    if full.shape != total.shape:
        total = full.clone()
    above = below = None
    if operand_bits is not None and total.numel():
        half = 1 << operand_bits - 1
        least, largest = (int(end) for end in total.aminmax())
        above, below = total >= half if largest >= half else None, total < -half if least < -half else None
    y = total.mul_(multiplier).add_(_half(shift)).bitwise_right_shift_(shift).add_(zero_point).clamp_(low, high)
    for beyond, end in ((above, high), (below, low)):
        if beyond is not None:
            y = torch.where(beyond, end, y)
    return y


def lookup(table: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Return ``table[index]`` of an int64 table (n,) for an int64 index of any shape, 0 to n - 1.

    Raises
    ------
    RuntimeError
        An index is negative or beyond the table.
    """
    return table.gather(0, index.reshape(-1)).reshape(index.shape)


def integer_matmul(a: torch.Tensor, b: torch.Tensor, *, bound: int) -> torch.Tensor:
    """Return the exact integer product ``a @ b`` as int64.

    ``bound`` is the largest magnitude that a dot product, or any partial sum of it, can take; it comes from
    the operand ranges and the length of the reduction. The product runs on float32 or float64 BLAS, which is
    exact because every partial sum is an integer below 2^24 or 2^53: the only floats after lowering. Autocast is off
    inside, and where torch was told to round the factors of float32 products (TF32, bfloat16), float64 is used, which
    no such setting touches.

    Raises
    ------
    OverflowError
        ``bound`` is 2^53 or more.
    """
    assert_integer(a=a, b=b)
    if bound >= 1 << 53:
        raise OverflowError(f"bound of a matrix product must be below 2**53, not {bound}")
    dtype = torch.float32 if bound < 1 << 24 and _float32_is_exact() else torch.float64
    with torch.autocast(a.device.type, enabled=False):
        return (a.to(dtype) @ b.to(dtype)).to(torch.int64)


def _float32_is_exact() -> bool:
    """Whether float32 matrix products keep all bits of their factors, on every backend.

    ``torch.get_float32_matmul_precision`` is no answer: it raises once both kinds of setting were used.
    """
    backends = torch.backends
    settings = (backends, backends.mkldnn, backends.mkldnn.matmul, backends.cuda.matmul)
    return all(one.fp32_precision in ("none", "ieee") for one in settings)


def split_unsigned(code: torch.Tensor, plane_bits: int, planes: int) -> list[torch.Tensor]:
    """Split unsigned codes into ``planes`` digits of ``plane_bits`` bits, least significant first."""
    assert_integer(code=code)
    mask = (1 << plane_bits) - 1
    return [code >> plane_bits * plane & mask for plane in range(planes)]


def signed_code_range(bits: int, plane_bits: int) -> int:
    """Return the largest magnitude of a signed narrow-range code of ``bits`` bits on ``plane_bits`` digits.

    That is ``2**(bits-1) - 1``, or what two narrow digits ``h * 2**plane_bits + l`` can hold, if that is less: at 8
    bits on 4-bit digits ``7 * 16 + 7 = 119``, at 6 bits ``31 = 2 * 16 - 1``.
    """
    digit = (1 << plane_bits - 1) - 1
    return min((1 << bits - 1) - 1, (digit << plane_bits) + digit)


def nearest_signed_code(value: torch.Tensor, plane_bits: int, planes: int) -> torch.Tensor:
    """Return the nearest value that two narrow digits can hold; identity for one plane.

    Values with remainder ``2**(plane_bits-1)`` modulo ``2**plane_bits`` lie halfway between two legal ones and
    go to the upper one (round half up): the digit -8 becomes -7.
    """
    assert_integer(value=value)
    if planes == 1:
        return value
    half = 1 << plane_bits - 1
    low = (value + half) % (1 << plane_bits) - half
    return value + (low == -half).to(value.dtype)


def split_signed(code: torch.Tensor, plane_bits: int, planes: int) -> list[torch.Tensor]:
    """Split signed codes into at most two narrow digits, least significant first.

    ``code = l + 2**plane_bits * h`` with both digits in ``-(2**(plane_bits-1)-1) .. 2**(plane_bits-1)-1``.

    Raises
    ------
    ValueError
        ``planes`` is not 1 or 2.
    OverflowError
        a code is not in the set that the digits can hold (see :func:`nearest_signed_code`).
    """
    assert_integer(code=code)
    limit = (1 << plane_bits - 1) - 1
    if planes == 1:
        digits = [code]
    elif planes == 2:
        half = 1 << plane_bits - 1
        low = (code + half) % (1 << plane_bits) - half
        digits = [low, code - low >> plane_bits]
    else:
        raise ValueError(f"planes of a signed code must be 1 or 2, not {planes}")
    for digit in digits:
        if digit.numel() and int(digit.abs().max()) > limit:
            raise OverflowError(f"a digit of a signed code is outside -{limit}..{limit}; round codes to the legal set")
    return digits


def join_planes(planes: list[torch.Tensor], plane_bits: int) -> torch.Tensor:
    """Return the codes whose digits are ``planes``, least significant first: the inverse of both splits."""
    return sum(digit << plane_bits * index for index, digit in enumerate(planes))
