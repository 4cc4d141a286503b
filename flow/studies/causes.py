"""Why a tensor loses so much when it is rounded: what another range, or a scale per channel, would have given."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vitric.golden.tensors import tensor

if TYPE_CHECKING:
    import torch
    from vitric.golden.quantization import Lowered
    from vitric.golden.quantization.codes.quantity import Quantity

__all__ = ["CAUSES", "Symptom", "diagnose"]

CAUSES = {
    "calibration range": "another range of the same codes fits these images far better",
    "outlier channel": "a scale and an offset of its own for each channel would be far better",
    "softmax code": "probabilities: neither, so it is where their codes lie",
    "residual width": "the steps of the residual stream are too large",
    "few codes": "none of these: any codes of so few bits lose as much",
}
"""Causes by name, and how they are recognised. *Far better* is by :data:`FAR` decibels of the tensor's own error."""

FAR = 3.0

_SAMPLES = 1 << 15  # values that a range is searched on


@dataclass(frozen=True)
class Symptom:
    """What is wrong with one tensor.

    Attributes
    ----------
    tensor : str
        Its name in the trace.
    cause : str
        One of :data:`CAUSES`.
    snr_db : float
        Its power over that of its own rounding error, in decibels.
    detail : str
        The figure that the cause was told from.
    """

    tensor: str
    cause: str
    snr_db: float
    detail: str

    def __str__(self):
        return f"{self.cause}: {self.tensor}, {self.snr_db:.1f} dB, {self.detail}"


def diagnose(lowered: "Lowered", images: "torch.Tensor", only: Callable[[str], bool]) -> Symptom | None:
    """Return what is wrong with the tensor that rounding spoils most, of those that ``only`` names.

    Parameters
    ----------
    lowered : Lowered
    images : integer tensor (count, C, H, W)
        Should not be those it was calibrated on.
    only : function of a name
        As for :func:`vitric.golden.quantization.analysis.simulate`.

    Returns
    -------
    Symptom or None
        None if ``only`` names weights alone: their errors are not seen in themselves but in what they are multiplied
        with.
    """
    from vitric.golden.quantization import reference

    chosen = {name: x for name, x in reference(lowered, images).items() if only(name)}
    own = {name: _snr(x, lowered.quantities[name]) for name, x in chosen.items()}
    if not own:
        return None
    worst = min(own, key=own.get)
    return _symptom(worst, chosen[worst], lowered.quantities[worst], own[worst])


def _ratio(x: "torch.Tensor", error: "torch.Tensor") -> float:
    from vitric.golden.evaluation import SignalToNoise

    return SignalToNoise().add(x, error).db


def _snr(x: "torch.Tensor", quantity: "Quantity") -> float:
    return _ratio(x, x - quantity.decode(quantity.encode(x)))


def _symptom(name: str, x: "torch.Tensor", quantity: "Quantity", own: float) -> Symptom:
    kind = tensor(name).kind
    if kind == "residual":
        steps = float((x / quantity.scale).square().mean().sqrt())
        return Symptom(name, "residual width", own, f"values of {steps:.1f} steps in the mean")
    common = _refitted(x, quantity, per_channel=False)
    if common - own >= FAR:
        return Symptom(name, "calibration range", own, f"{common:.1f} with the best range")
    if kind == "probabilities":
        rows = float(quantity.decode(quantity.encode(x)).sum(-1).mean())
        return Symptom(name, "softmax code", own, f"rows of probabilities sum to {rows:.2f}")
    channel = _refitted(x, quantity, per_channel=True)
    if channel - max(own, common) >= FAR:
        return Symptom(name, "outlier channel", own, f"{channel:.1f} with a scale and an offset per channel")
    return Symptom(name, "few codes", own, f"at best {max(own, common, channel):.1f} with another range or scale")


def _refitted(x: "torch.Tensor", quantity: "Quantity", *, per_channel: bool) -> float:
    """Return the ratio of power to error, in decibels, with the same codes over the best range for these values."""
    from vitric.golden.quantization.codes.observers import mse

    codes = quantity.codes
    x = x.reshape(-1, x.shape[-1])
    x = x[:: max(1, x.numel() // _SAMPLES)]
    if per_channel:
        offset = (x.amin(0) + x.amax(0)) / 2
        values = (x - offset).T
    else:
        offset, values = quantity.offset, ((x - quantity.offset) / quantity.scale).reshape(1, -1)
    scale, zero_point = (parameter[:, None] for parameter in mse(values, codes))
    error = codes.decode(codes.encode(values, scale, zero_point), scale, zero_point) - values
    return _ratio(x, error.T if per_channel else error.reshape(x.shape) * quantity.scale)
