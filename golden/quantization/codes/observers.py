"""Observers: from samples of a tensor to the range that its codes cover.

An observer takes samples ``(G, n)`` of G groups that have a scale each, a code map, and optionally the importance
``(G, n)`` or ``(1, n)`` of each sample; it returns scale and zero point, each ``(G,)``.
"""

from collections.abc import Callable, Iterable

import torch

from .maps import FittedCodes, UnsignedCodes
from .rounding_error import SortedSamples

__all__ = ["Observer", "best_percentile", "minmax", "mse", "percentile", "rounded_scales"]

Observer = Callable[[torch.Tensor, FittedCodes, torch.Tensor | None], tuple[torch.Tensor, torch.Tensor]]

_TAIL = 0.001  # share of the samples that the percentile observer leaves out on each side
_TAILS = (0.001, 0.0001, 0.00001)  # the shares among which the search chooses
_SHRINKS = 64  # candidates of the MSE search
_SMALLEST = 0.2  # smallest of them, relative to the whole range


def minmax(
    x: torch.Tensor, codes: FittedCodes, importance: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cover every sample."""
    return codes.fit(x.amin(1), x.amax(1))


def percentile(
    x: torch.Tensor, codes: FittedCodes, importance: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cover all but the outermost 0.1 % of the samples on each side (nearest rank)."""
    ranked = x.sort(dim=1).values
    cut = int(_TAIL * x.shape[1])
    return codes.fit(ranked[:, cut], ranked[:, -1 - cut])


def best_percentile(
    x: torch.Tensor, codes: FittedCodes, importance: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Leave out 0.1, 0.01 or 0.001 % of the samples on each side, by least mean squared error, as RepQ-ViT does.

    Between two samples the percentile is interpolated. Among equal errors the narrowest range wins.
    """
    tails = (torch.tensor([tail, 1 - tail], dtype=x.dtype) for tail in _TAILS)
    return _best((codes.fit(*torch.quantile(x, tail, dim=1)) for tail in tails), x, codes, importance)


def mse(
    x: torch.Tensor, codes: FittedCodes, importance: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Find the range of least mean squared error.

    The whole range is shrunk towards 0 in steps; for asymmetric codes each end is then shrunk on its own, twice.
    Among equal errors the widest range wins.
    """
    samples = SortedSamples(x, importance)
    shares = torch.linspace(1.0, _SMALLEST, _SHRINKS, dtype=torch.float64)
    low, high = samples.low[:, None], samples.high[:, None]

    def search(ends: tuple[int, ...]) -> None:
        nonlocal low, high
        lows, highs = (end * (shares if number in ends else torch.ones_like(shares))
                       for number, end in enumerate((low, high)))
        best = samples.first_least(samples.errors(codes, *codes.fit(lows, highs)))[:, None]
        low, high = lows.gather(1, best), highs.gather(1, best)

    search((0, 1))
    if isinstance(codes, UnsignedCodes):
        for _ in range(2):
            search((0,))
            search((1,))
    return codes.fit(low[:, 0], high[:, 0])


def rounded_scales(observer: Observer) -> Observer:
    """Return an observer whose scales are powers of two: the one above or below ``observer``'s, of less error."""

    def rounded(x, codes, importance=None):
        scale, zero_point = observer(x, codes, importance)

        def candidate(octave):
            power = torch.exp2(octave)
            if not isinstance(codes, UnsignedCodes):
                return power, zero_point
            zero = torch.floor(zero_point * (scale / power) + 0.5)  # keeps the real value of the lower end
            return power, zero.to(torch.int64).clamp(0, codes.high)

        octaves = torch.log2(scale)
        return _best(map(candidate, (octaves.floor(), octaves.ceil())), x, codes, importance)

    return rounded


def _best(
    candidates: Iterable[tuple[torch.Tensor, torch.Tensor]], x: torch.Tensor, codes: FittedCodes,
    importance: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the scale and the zero point of least mean squared error for each group; among equal ones the first."""
    weight = 1.0 if importance is None else importance
    best = None
    for scale, zero_point in candidates:
        columns = scale[:, None], zero_point[:, None]
        error = ((codes.decode(codes.encode(x, *columns), *columns) - x).square() * weight).sum(1)
        found = error, scale, zero_point
        best = found if best is None else tuple(
            torch.where(error < best[0], new, old) for new, old in zip(found, best, strict=True))
    return best[1], best[2]
