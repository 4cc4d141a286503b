"""From real factors to what the requantize unit multiplies with: an integer multiplier and a right shift."""

from dataclasses import dataclass

import torch

from ...spec.requantize import RequantizeSpec

__all__ = ["FactorTooLarge", "Scaling", "fit_multiplier", "fit_scaling", "largest_factor"]


class FactorTooLarge(ValueError):
    """An accumulator step is so much larger than an output step that no multiplier reaches it."""


def largest_factor(spec: RequantizeSpec) -> float:
    """Return the largest factor that the unit can multiply with: the top multiplier and the smallest shift."""
    return ((1 << spec.multiplier_bits) - 1) / 2 ** spec.shifts[0]


def fit_multiplier(
    name: str, factor: torch.Tensor, spec: RequantizeSpec,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return multipliers and shifts with ``multiplier * 2**-shift`` as close to ``factor`` as the unit allows.

    Of the shifts of ``spec`` the largest is taken with which the multiplier still fits: it keeps most significant bits.

    Parameters
    ----------
    name : str
        Of the layer, for error messages.
    factor : float64 tensor (N,)
        Positive.
    spec : RequantizeSpec
        Gives ``shifts`` and ``multiplier_bits``, which must not be 0.

    Returns
    -------
    multiplier, shift : int64 tensors (N,)

    Raises
    ------
    FactorTooLarge
        A factor is too large even for the smallest shift.
    ValueError
        A factor is too small even for the largest shift, or not a finite number.
    """
    top = (1 << spec.multiplier_bits) - 1
    shifts = torch.tensor(spec.shifts)  # (S,)
    scaled = torch.floor(factor[:, None] * torch.exp2(shifts.to(torch.float64)) + 0.5)  # (N, S)
    fits = scaled <= top
    chosen = fits.sum(1) - 1  # the shifts ascend, so the ones that fit come first
    multiplier = scaled.gather(1, chosen.clamp(min=0)[:, None])[:, 0]
    wrong = (chosen < 0) | ~(multiplier >= 1)
    if wrong.any():
        channel = int(wrong.nonzero()[0, 0])
        value = float(factor[channel])
        kind, error = ("underflows", ValueError) if value < 1 else ("is too large", FactorTooLarge)
        raise error(
            f"{name}: the scale of channel {channel} {kind}: its requantization factor must be between "
            f"2**-{spec.shifts[-1] + 1} and {largest_factor(spec):.6g}, not {value:.3g}"
        )
    return multiplier.to(torch.int64), shifts[chosen]


@dataclass(frozen=True, kw_only=True, eq=False)
class Scaling:
    """What the requantize unit does with each channel: int64 tensors (N,)."""

    bias: torch.Tensor
    multiplier: torch.Tensor
    pre_shift: torch.Tensor
    shift: torch.Tensor


def fit_scaling(
    name: str, factor: torch.Tensor, constant: torch.Tensor, zero_sum: torch.Tensor,
    reach: tuple[torch.Tensor, torch.Tensor], below: int, above: int, spec: RequantizeSpec,
) -> Scaling:
    """Choose multiplier, shifts and bias of each channel.

    Accumulators are taken as they are where their sum with the bias fits the multiplier's operand, or where one that
    does not would be clamped anyway. The others lose ``spec.narrow_shift`` bits first; the half step that cutting them
    off takes away on average is added to the bias.

    Parameters
    ----------
    name : str
        Of the layer, for error messages.
    factor : float64 tensor (N,)
        Output steps per step of the accumulator.
    constant : float64 tensor (N,)
        What to add, in output steps.
    zero_sum : int64 tensor (N,)
        To take off the accumulator: what the input's zero point adds to it.
    reach : pair of int64 tensors (N,)
        Least and largest accumulator.
    below, above : int
        Output steps from zero down to the smallest code, and up to the largest.
    spec : RequantizeSpec

    Raises
    ------
    FactorTooLarge, ValueError
        As :func:`fit_multiplier`; or a bias does not fit ``spec.bias_bits``.
    """
    half = 1 << spec.operand_bits - 1
    pre_shift = torch.zeros_like(zero_sum)
    for narrow in (False, True):
        steps = torch.exp2(pre_shift.to(torch.float64))
        multiplier, shift = fit_multiplier(name, factor * steps, spec)
        realised = multiplier.to(torch.float64) * torch.exp2(-shift.to(torch.float64))
        lost = (steps - 1) / 2
        bias = torch.floor(constant / realised - (zero_sum - lost) / steps + 0.5)
        if narrow or not spec.narrow_shift:
            break
        fits = (reach[0] + bias >= -half) & (reach[1] + bias < half)
        pre_shift = torch.where(fits | (realised * half >= max(below, above)), 0, spec.narrow_shift)
    limit = 1 << spec.bias_bits - 1
    if not bool((bias.abs() < limit).all()):
        raise ValueError(f"{name}: a bias must fit signed {spec.bias_bits} bits in accumulator steps, "
                         f"not {float(bias.abs().max()):.3g}")
    return Scaling(bias=bias.to(torch.int64), multiplier=multiplier, pre_shift=pre_shift, shift=shift)
