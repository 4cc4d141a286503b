"""From real factors to what the requantize unit multiplies with: an integer multiplier and a right shift."""

import torch

from ..spec.requantize import RequantizeSpec

__all__ = ["FactorTooLarge", "fit_multiplier"]


class FactorTooLarge(ValueError):
    """An accumulator step is so much larger than an output step that no multiplier reaches it."""


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
            f"2**-{spec.shifts[-1] + 1} and {top / 2 ** spec.shifts[0]:.6g}, not {value:.3g}"
        )
    return multiplier.to(torch.int64), shifts[chosen]
