"""Heads whose scores go beyond what the softmax unit holds: a coarser step for the head, or an error that names it.

A score beyond the unit's range saturates. That costs nothing where one key of a row wins anyway, and everything where
two keys do that only differ out there. Such a head gets the step of scores, of a few coarser ones, at which its
probabilities on the calibration images lie nearest to the float ones: its softmax is then a little too soft everywhere.
"""

import torch

from ...spec.softmax import SoftmaxSpec

__all__ = ["LARGEST_LOSS", "score_steps"]

LARGEST_LOSS = 0.25
"""Share of the probability of a row, on average, that may end at other keys than in the float model."""

_LOG2_E = 1.4426950408889634
_COARSEST = 8  # half octaves: the range is then 16 times as wide


def _moved(wanted: torch.Tensor, scores: torch.Tensor, reach: float) -> float:
    """Return the mean share of a row's probability that saturation and step put elsewhere; scores in octaves."""
    found = (scores.clamp(-reach, reach) / _LOG2_E).softmax(-1)
    return float((found - wanted).abs().sum(-1).mean()) / 2


def score_steps(name: str, q: torch.Tensor, k: torch.Tensor, heads: int, spec: SoftmaxSpec) -> torch.Tensor:
    """Return by what to multiply the step of each head's scores, float64 (heads,): 1 where they fit.

    Parameters
    ----------
    name : str
        Of the scores, for the message.
    q, k : float64 tensors (B, T, E)
        Queries and keys of the calibration images, as the integer model has them: keys about their mean.
    heads : int
    spec : SoftmaxSpec
        Its ``score_bits`` and ``frac_bits`` give the range.

    Returns
    -------
    float64 tensor (heads,)
        ``2**(n / 2)`` with n from 0 to 8. A score x of the float model, in octaves, becomes x divided by it.

    Raises
    ------
    ValueError
        Even the best step moves more than :data:`LARGEST_LOSS` of the probability of a head; the message has its
        number, the largest score and the range.
    """
    head_dim = q.shape[-1] // heads
    reach = 2.0 ** (spec.score_bits - 1 - spec.frac_bits)
    steps = torch.ones(heads, dtype=torch.float64)
    for head in range(heads):
        channels = slice(head * head_dim, (head + 1) * head_dim)
        scores = q[..., channels] @ k[..., channels].transpose(-2, -1) * (head_dim**-0.5 * _LOG2_E)  # (B, T, T)
        largest = float(scores.abs().max())
        if largest < reach:
            continue
        wanted = (scores / _LOG2_E).softmax(-1)
        loss, steps[head] = min((_moved(wanted, scores / step, reach), step)
                                for step in (2.0 ** (half / 2) for half in range(_COARSEST + 1)))
        if loss > LARGEST_LOSS:
            raise ValueError(f"{name}: scores of head {head} reach {largest:.4g} octaves (doublings of probability), "
                             f"the softmax unit holds {reach:g}; at the best step {100 * loss:.0f} % of the "
                             f"probability would be wrong, more than {100 * LARGEST_LOSS:.0f} %")
    return steps
