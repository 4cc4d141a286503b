"""Squared error of rounding samples to codes, for many scales at once."""

import torch

from .maps import CodeMap

__all__ = ["SortedSamples"]

_ELEMENTS = 1 << 22  # levels of all candidates that are looked up together
_NOISE = 1e-12  # of the samples' squares: errors that differ by less are equal but for the last bits of sums


class SortedSamples:
    """Groups of samples, sorted once: a candidate costs a look-up for each of its codes, and none for each sample.

    With levels ``l[0] < … < l[V-1]``, samples below the middle ``m[i]`` of ``l[i-1]`` and ``l[i]`` go to levels below
    ``l[i]``. With ``W(m)`` and ``M(m)``, the sums of weights and of weights times samples below ``m``, and ``W``, ``M``
    and ``S``, the sums of weights, weights times samples and weights times squares of all, the error is
    ``S + l[V-1]**2 * W - 2*l[V-1]*M - 2 * (sum over i of (l[i] - l[i-1]) * (m[i] * W(m[i]) - M(m[i])))``.

    Parameters
    ----------
    x : float64 tensor (G, n)
        Samples of G groups.
    weight : float64 tensor (G, n) or (1, n), optional
        Of the squared error of each; without it all count the same.

    Attributes
    ----------
    low, high : float64 tensors (G,)
        Least and largest sample of each group.
    squares : float64 tensor (G,)
        Weighted sums of their squares.
    """

    def __init__(self, x: torch.Tensor, weight: torch.Tensor | None = None):
        self._x, order = x.contiguous().sort(dim=1)
        weight = torch.ones_like(x) if weight is None else weight.expand(x.shape).gather(1, order)
        moments = torch.stack([weight, weight * self._x])
        self._sums = torch.cat([torch.zeros_like(moments[..., :1]), moments.cumsum(2)], dim=2)  # (2, G, n + 1)
        self.low, self.high = self._x[:, 0], self._x[:, -1]
        self.squares = (moments[1] * self._x).sum(1)

    def errors(self, codes: CodeMap, scale: torch.Tensor, zero_point: torch.Tensor) -> torch.Tensor:
        """Return the errors, float64 (G, C), of C candidates for each group: scales and zero points (G, C)."""
        size = max(1, _ELEMENTS // (len(scale) * len(codes.legal)))
        parts = zip(scale.split(size, dim=1), zero_point.split(size, dim=1), strict=True)
        return torch.cat([self._errors(codes, *part) for part in parts], dim=1)

    def _errors(self, codes: CodeMap, scale: torch.Tensor, zero_point: torch.Tensor) -> torch.Tensor:
        levels = codes.decode(codes.legal, scale[..., None], zero_point[..., None])  # (G, C, V)
        middles, steps = (levels[..., 1:] + levels[..., :-1]) / 2, levels[..., 1:] - levels[..., :-1]
        ends = torch.searchsorted(self._x, middles.flatten(1))
        weight, moment = (sums.gather(1, ends).unflatten(1, middles.shape[1:]) for sums in self._sums)
        last, (whole, mean) = levels[..., -1], self._sums[..., -1:]
        return (self.squares[:, None] + last.square() * whole - 2 * last * mean
                - 2 * (steps * (middles * weight - moment)).sum(2))

    def first_least(self, errors: torch.Tensor) -> torch.Tensor:
        """Return the candidate (G,) of least error; of those that are equal but for rounding, the first."""
        within = errors <= errors.amin(1, keepdim=True) + _NOISE * self.squares[:, None]
        index = torch.arange(errors.shape[1])
        return torch.where(within, index, len(index)).amin(1)
