"""The epsilon of a float LayerNorm: the integer one has none, so it must not matter to the codes."""

import torch

__all__ = ["check_epsilon"]

_ROUNDING = 1 / 12  # mean square of a rounding error, in codes


def _error(codes: torch.Tensor, variance: torch.Tensor, eps: float) -> float:
    """Return the mean square of what ``eps`` takes off ``codes``, float64, which have none in them."""
    return float((codes * (1 - torch.sqrt(variance / (variance + eps)))).square().mean())


def check_epsilon(name: str, eps: float, x: torch.Tensor, codes: torch.Tensor) -> None:
    """Raise unless a LayerNorm without epsilon gives the same codes, up to less than their rounding.

    Parameters
    ----------
    name
        Of the LayerNorm.
    eps
        Its epsilon.
    x : float64 tensor (..., E)
        Its input.
    codes : float64 tensor (..., E)
        Its output with ``eps``, without beta, in codes.

    Raises
    ------
    ValueError
        The mean square of the difference is above 1/12; the message names the epsilon, and one that is legal.
    """
    variance = x.var(-1, unbiased=False, keepdim=True)
    without = torch.where(variance > 0, codes * torch.sqrt(1 + eps / variance.clamp(min=1e-300)), 0.0)
    legal = eps
    while _error(without, variance, legal) > _ROUNDING:
        legal /= 10
    if legal < eps:
        raise ValueError(f"layer_norm_eps must be at most {legal:g} for this model, not {eps:g}: the integer LayerNorm "
                         f"has none, and that of {name} would give other codes")
