"""Integer LayerNorm: exact moments, normalised reciprocal square root by table, fused affine and requantization."""

import math

import torch

from ..arith import assert_fits, assert_integer, round_shift, saturate
from ..spec.layernorm import LayerNormSpec

__all__ = ["layernorm", "moments", "normalise", "quantize_affine", "row_scale"]


def moments(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return S1 = sum of x and V = n * sum(x*x) - S1*S1 over the last axis, exact, as int64."""
    assert_integer(x=x)
    x = x.to(torch.int64)
    total = x.sum(-1)
    return total, x.shape[-1] * (x * x).sum(-1) - total * total


def row_scale(variance: torch.Tensor, length: int, spec: LayerNormSpec) -> tuple[torch.Tensor, torch.Tensor]:
    """Return n/sqrt(V) as an 18-bit multiplier and a shift: ``multiplier * 2**-(y_fraction + shift)``.

    Parameters
    ----------
    variance : int tensor
        V of :func:`moments`; where it is 0 the multiplier is 0.
    length : int
        Row length n.
    spec : LayerNormSpec

    Returns
    -------
    multiplier, shift : int64 tensors
        ``0 <= multiplier < 2**18``; ``shift`` is 0, 1, 2 or 3 times ``spec.shift_step``.
    """
    row = spec.row_constants(length)
    safe = torch.where(variance > 0, variance, length * length)
    k = sum((safe >= 1 << 2 * power).to(torch.int64) for power in range(1, spec.variance_bits // 2))
    point = spec.mantissa_bits - 2
    mantissa = torch.where(2 * k >= point, safe >> (2 * k - point).clamp(min=0), safe << (point - 2 * k).clamp(min=0))
    fraction_bits = spec.mantissa_bits - spec.index_bits
    index, fraction = mantissa >> fraction_bits, mantissa & (1 << fraction_bits) - 1
    base, slope = torch.tensor(spec.rsqrt_table, dtype=torch.int64)[index - (1 << spec.index_bits - 2)].unbind(-1)
    r = assert_fits("r", round_shift((base << fraction_bits) - slope * fraction, fraction_bits), spec.rsqrt_bits,
                    signed=False)
    q = row.norm * r
    small = q < 1 << spec.rsqrt_bits + spec.length_exponent
    q = torch.where(small, q * 2, q)
    down = spec.y_integer - (row.exponent - k - small.to(torch.int64))
    assert_fits("exponent of the row scale", down, 8, signed=False)
    multiplier = round_shift(q, spec.length_exponent + down % spec.shift_step)
    multiplier = saturate(multiplier, 0, (1 << spec.multiplier_bits) - 1)
    position = down // spec.shift_step
    if (position >= spec.shift_positions).any():
        raise OverflowError(f"shift position of a row must be below {spec.shift_positions}, not {int(position.max())}")
    return torch.where(variance > 0, multiplier, 0), position * spec.shift_step


def normalise(x: torch.Tensor, spec: LayerNormSpec) -> torch.Tensor:
    """Return y = (x - mean) / standard deviation over the last axis, int64 with ``spec.y_fraction`` fraction bits."""
    length = x.shape[-1]
    total, variance = moments(x)
    mean = round_shift(total * spec.row_constants(length).inverse, spec.inverse_fraction - spec.mean_fraction)
    assert_fits("mean", mean, spec.mean_bits)
    multiplier, shift = row_scale(variance, length, spec)
    offset = round_shift(mean * multiplier, spec.mean_fraction)
    shift = shift[..., None]
    return assert_fits("y", (x * multiplier[..., None] >> shift) - (offset[..., None] >> shift), spec.y_bits)


def layernorm(x: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor, spec: LayerNormSpec) -> torch.Tensor:
    """Normalise rows to zero mean and unit variance, apply the affine and requantize: codes, bit for bit.

    Formulas are in :class:`~vitric.golden.spec.layernorm.LayerNormSpec`; there is no epsilon: a row of variance 0
    gives y = 0, and every other row of integers has a variance of at least (n-1)/n**2.

    Parameters
    ----------
    x : int tensor [..., n]
        Residual values, signed ``spec.in_bits``; n from 1 to ``spec.max_length``.
    gamma : int tensor [n]
        Signed ``spec.gamma_bits`` (16), ``spec.gamma_fraction`` fraction bits, in output codes per unit of y.
    beta : int tensor [n]
        Signed ``spec.beta_bits`` (21), ``spec.beta_fraction`` fraction bits, in output codes; includes the zero point.
    spec : LayerNormSpec

    Returns
    -------
    int64 tensor [..., n]
        Codes 0 to ``2**spec.out_bits - 1``.

    Raises
    ------
    TypeError
        An argument is not an int32 or int64 tensor.
    ValueError
        n is out of range, or gamma or beta has another length.
    OverflowError
        A value does not fit its width.
    """
    assert_integer(x=x, gamma=gamma, beta=beta)
    length = x.shape[-1]
    spec.row_constants(length)
    for name, tensor in (("gamma", gamma), ("beta", beta)):
        if tensor.shape != (length,):
            raise ValueError(f"{name} must have shape ({length},), not {tuple(tensor.shape)}")
    assert_fits("x", x, spec.in_bits)
    assert_fits("gamma", gamma, spec.gamma_bits)
    assert_fits("beta", beta, spec.beta_bits)
    y = normalise(x.to(torch.int64), spec)
    scaled = y * gamma.to(torch.int64) + (beta.to(torch.int64) << spec.beta_shift)
    return saturate(round_shift(scaled, spec.out_shift), 0, (1 << spec.out_bits) - 1)


def quantize_affine(
    gamma: torch.Tensor, beta: torch.Tensor, scale_out: float, zero_point: int, spec: LayerNormSpec,
    powers: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Lower the float affine of a LayerNorm to the integers of :func:`layernorm`.

    The float result ``y*gamma + beta`` is represented by codes ``round(value / scale_out) + zero_point``; with
    ``powers``, by ``round(value / (scale_out * 2**power)) + zero_point``, the power-of-two factors of FQ-ViT (Lin et
    al., IJCAI 2022, section 3.2): the difference of a code and the zero point, shifted left by the channel's power,
    counts steps of ``scale_out``. Since gamma and beta come with each channel, such codes cost the unit nothing.

    Parameters
    ----------
    gamma, beta : float tensors [n]
        Affine parameters.
    scale_out : float
        Positive step between two codes.
    zero_point : int
        Code of the value 0.
    spec : LayerNormSpec
    powers : int tensor [n], optional
        One power per channel, 0 to 7.

    Returns
    -------
    gamma_q, beta_q : int64 tensors [n]

    Raises
    ------
    ValueError
        ``scale_out`` is not positive and finite, ``powers`` are not as above, or a parameter does not fit; the message
        names the channel, the ratio to ``scale_out`` and the legal range.
    """
    if not (math.isfinite(scale_out) and scale_out > 0):
        raise ValueError(f"scale_out must be positive and finite, not {scale_out!r}")
    steps = torch.tensor(scale_out, dtype=torch.float64)
    if powers is not None:
        assert_integer(powers=powers)
        if powers.shape != gamma.shape or not 0 <= int(powers.min()) <= int(powers.max()) <= 7:
            raise ValueError(f"powers must be {len(gamma)} integers between 0 and 7, not {powers.tolist()}")
        steps = steps * torch.exp2(powers.to(torch.float64))
    ratio = gamma.to(torch.float64) / steps
    offset = beta.to(torch.float64) / steps + zero_point
    return (
        _fixed_point("gamma / scale_out", ratio, spec.gamma_bits, spec.gamma_fraction),
        _fixed_point("beta / scale_out + zero_point", offset, spec.beta_bits, spec.beta_fraction),
    )


def _fixed_point(name: str, value: torch.Tensor, bits: int, fraction: int) -> torch.Tensor:
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    scaled = torch.floor(value * (1 << fraction) + 0.5)
    wrong = ~((scaled >= low) & (scaled <= high))
    if wrong.any():
        channel = int(wrong.nonzero()[0, 0])
        raise ValueError(
            f"{name} must be between {low / (1 << fraction)} and {high / (1 << fraction)}, "
            f"not {float(value[channel])} in channel {channel}"
        )
    return scaled.to(torch.int64)
