"""Lowering of attention: where scales and offsets of queries, keys and values may differ, and why that is free.

* A constant added to all keys of a channel adds the same number to every score of a row, which softmax ignores. Keys
  are therefore quantized about their mean.
* Probabilities sum to 1, so a constant taken off a value channel comes back as a constant of the context channel.
* A score is a sum over the channels of a head of query times key: scaling a query channel up and the key channel down
  by the same factor changes nothing, so both get the same spread; the scales of a head then have one product.

With few bits the step of that product can be more than the softmax unit's scores can be requantized from (one octave of
probability). Both scales of such a head are then made smaller by the same factor, and its largest queries and keys
saturate. Scores of that size make probabilities of about 1 and 0, so little is lost. Scores beyond the unit's range are
:mod:`~vitric.golden.quantization.lowering.score_range`'s.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from ...arith import integer_matmul
from ...integer.code_table import nearest_table
from ...integer.requantizer import Requantizer, requantize_scores
from ...integer.softmax import softmax, uniform_offset
from ...spec.softmax import SoftmaxSpec
from ...tensors import tensor
from ..codes.books import PROBABILITIES, fit_book
from ..codes.channels import CHANNELS
from ..codes.maps import CentredCodes, FittedCodes, UnsignedCodes
from ..codes.quantity import CONSTANT, ENOUGH_SAMPLES, Quantity, check_scale, observe
from ..codes.rounding_error import SortedSamples
from ..codes.scales import Scaling, largest_factor
from ..settings import Settings
from .build import build_context, build_scores, score_factors
from .score_range import score_steps

__all__ = ["Probabilities", "Scores", "context", "lower_scores", "probabilities"]

_LOG2_E = 1.4426950408889634
_STEP_SHARES = 64  # candidates for the step of the probability code
_SAMPLES = 1 << 20  # values that a range is chosen on, at most


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """Queries, keys and the scale of their products.

    ``quantities`` has ``q``, ``k`` and ``v``; ``scaling`` (H,) brings products to the softmax unit.
    """

    quantities: dict[str, Quantity]
    scaling: Scaling


@dataclass(frozen=True, kw_only=True, eq=False)
class Probabilities:
    """Codes (B, H, T, T) of the calibration images, their quantity, and what the softmax unit needs.

    That is its ``offset`` and, unless codes are uniform, the ``table`` behind it (else None).
    """

    codes: torch.Tensor
    quantity: Quantity
    offset: int
    table: torch.Tensor | None


def _heads(x: torch.Tensor, heads: int) -> torch.Tensor:
    """Return (B, T, E) as (B, H, T, hd)."""
    return x.reshape(*x.shape[:2], heads, -1).transpose(1, 2)


def _groups(x: torch.Tensor, groups: int) -> torch.Tensor:
    """Return the samples of ``groups`` equal groups of channels: (..., E) to (groups, n)."""
    return x.reshape(-1, groups, x.shape[-1] // groups).transpose(0, 1).reshape(groups, -1)


def _sampled(
    x: torch.Tensor, codes: FittedCodes, weights: torch.Tensor, generator: torch.Generator,
) -> tuple[torch.Tensor, FittedCodes, torch.Tensor]:
    """Return what an observer takes; of very many samples (groups, n) some, and in any case both ends of each group."""
    if x.numel() <= _SAMPLES:
        return x, codes, weights
    chosen = torch.randint(x.shape[1], (_SAMPLES // len(x),), generator=generator).expand(len(x), -1)
    chosen = torch.cat([chosen, torch.stack([x.argmin(1), x.argmax(1)], dim=1)], dim=1)
    return x.gather(1, chosen), codes, weights.gather(1, chosen)


def _spread(x: torch.Tensor, largest: torch.Tensor) -> torch.Tensor:
    """Return the root mean square of each channel (E,), at least what counts as constant next to ``largest``."""
    rms = x.reshape(-1, x.shape[-1]).square().mean(0).sqrt()
    return rms.clamp(min=float(largest) * CONSTANT or 1.0)


def lower_scores(
    name: str, real: dict[str, torch.Tensor], importance: dict[str, torch.Tensor], heads: int, spec: SoftmaxSpec,
    settings: Settings,
) -> Scores:
    """Choose the codes of queries, keys and values.

    Parameters
    ----------
    name : str
        Of the attention layer.
    real : dict of float64 tensors (B, T, E)
        ``q``, ``k`` and ``v`` for the calibration images.
    importance : dict of float64 tensors (B, T, E)
        Of their elements.
    heads : int
    spec : SoftmaxSpec
    settings : Settings
    """
    observer, bits = settings.recipe.observer, settings.bits(f"{name}.scores")
    embed = real["q"].shape[-1]
    means = {part: real[part].reshape(-1, embed).mean(0) for part in "kv"}
    keys, values = real["k"] - means["k"], real["v"] - means["v"]
    balance = (_spread(real["q"], real["q"].abs().max()) / _spread(keys, real["k"].abs().max())).sqrt()
    if settings.recipe.power_of_two:
        balance = torch.exp2(torch.log2(balance).round())

    def quantity(part, x, codes, groups, offset, factor):
        weights = _groups(importance[part] * torch.as_tensor(factor).square(), groups)
        scale, zero_point = observer(*_sampled(_groups(x, groups), codes, weights, settings.generator))
        scale = torch.maximum(scale, (real[part] / factor).abs().max() * CONSTANT)  # not for rounding noise
        scale = check_scale(f"{name}.{part}", scale).repeat_interleave(embed // groups) * factor
        return Quantity(codes=codes, scale=scale, zero_point=int(zero_point[0]),
                        offset=torch.as_tensor(offset, dtype=torch.float64))

    q = quantity("q", real["q"] / balance, CentredCodes(bits.a), heads, 0.0, balance)
    k = quantity("k", keys * balance, settings.narrow(bits.w), heads, means["k"], 1 / balance)
    v = quantity("v", values, settings.narrow(settings.bits(f"{name}.context").w), embed, means["v"], 1.0)
    steps = score_steps(f"{name}.scores", real["q"], keys, heads, spec)
    shrink = _shrinkage(score_factors(q, k, heads, spec) / steps, settings).repeat_interleave(embed // heads)
    q, k = replace(q, scale=q.scale / shrink), replace(k, scale=k.scale / shrink)
    scaling = build_scores(f"{name}.scores", q, k, heads, spec, settings, steps=steps)
    return Scores(quantities={"q": q, "k": k, "v": v}, scaling=scaling)


def _shrinkage(factor: torch.Tensor, settings: Settings) -> torch.Tensor:
    """Return by what to divide the scales of queries and keys (H,) so that the score factors are within reach."""
    shrink = (factor / largest_factor(settings.requantize)).clamp(min=1.0).sqrt()
    return torch.exp2(torch.log2(shrink).ceil()) if settings.recipe.power_of_two else shrink


def probabilities(
    name: str, q: torch.Tensor, k: torch.Tensor, scores: Scores, spec: SoftmaxSpec, settings: Settings,
) -> Probabilities:
    """Choose the step of the probability codes and compute them.

    ``q`` and ``k`` are codes (B, T, E). The step is the one of least squared error, at most the largest
    probability divided by the largest code.
    """
    scaling = scores.scaling
    heads = len(scaling.multiplier)
    left, right = _heads(q, heads), _heads(k, heads)
    bound = left.shape[-1] * scores.quantities["q"].codes.high * scores.quantities["k"].codes.high
    products = integer_matmul(left, right.transpose(-2, -1), bound=bound)
    x = requantize_scores(products, -scores.quantities["q"].zero_point * right.sum(-1), scaling.multiplier,
                          scaling.pre_shift, scaling.shift, spec)
    real = torch.softmax(x.to(torch.float64) * (2.0 ** -spec.frac_bits / _LOG2_E), dim=-1)
    bits = settings.bits(tensor(name).product).a
    candidates = PROBABILITIES[settings.recipe.probabilities](bits)
    grid = 1 << spec.frac_bits if settings.recipe.power_of_two else 1
    if isinstance(candidates[0], UnsignedCodes):
        codes, offset = candidates[0], _uniform_step(real, candidates[0], spec, grid, settings.generator)
    else:
        equal = torch.ones((), dtype=torch.float64).expand(real.shape)
        fitted = fit_book(name, real, candidates, settings.recipe.observer, equal, settings.generator)
        codes, offset = fitted.codes, _on_grid(uniform_offset(float(fitted.scale), spec), grid)
    step = torch.tensor(2.0 ** (-offset / (1 << spec.frac_bits)), dtype=torch.float64)
    quantity = Quantity(codes=codes, scale=step, zero_point=0, offset=torch.zeros((), dtype=torch.float64))
    uniform = softmax(x, spec, offset=offset)
    if isinstance(codes, UnsignedCodes):
        return Probabilities(codes=uniform.clamp(max=codes.high), quantity=quantity, offset=offset, table=None)
    table = nearest_table(codes.values, spec.out_bits)
    return Probabilities(codes=table[uniform], quantity=quantity, offset=offset, table=table)


def _on_grid(offset: int, grid: int) -> int:
    return (offset + grid // 2) // grid * grid


def _uniform_step(
    real: torch.Tensor, codes: UnsignedCodes, spec: SoftmaxSpec, grid: int, generator: torch.Generator,
) -> int:
    """Return the offset, a multiple of ``grid``, of the step of least squared error; on samples of very many values."""
    largest = float(real.max())
    if real.numel() > _SAMPLES:
        real = real.reshape(-1)[torch.randint(real.numel(), (_SAMPLES,), generator=generator)]
    offsets = [_on_grid(uniform_offset(largest * share / codes.high, spec), grid)
               for share in torch.linspace(1.0, 0.2, _STEP_SHARES, dtype=torch.float64).tolist()]
    steps = torch.exp2(torch.tensor(offsets, dtype=torch.float64) / -(1 << spec.frac_bits))[None]
    samples = SortedSamples(real.reshape(1, -1))
    return offsets[int(samples.first_least(samples.errors(codes, steps, torch.zeros_like(steps, dtype=torch.int64))))]


def context(
    name: str, p: Probabilities, v: torch.Tensor, value: Quantity, target: torch.Tensor, importance: torch.Tensor,
    settings: Settings, refine: Callable[[Quantity, torch.Tensor], Quantity],
) -> tuple[Quantity, torch.Tensor, Requantizer, torch.Tensor]:
    """Return quantity, real bias (E,), requantizer and codes (B, T, E) of the context.

    Parameters
    ----------
    name : str
        Of the tensor.
    p : Probabilities
    v : int64 tensor (B, T, E)
        Codes of the values.
    value : Quantity
        Theirs.
    target : float tensor (B, T, E)
        The float model's context.
    importance : float64 tensor (B, T, E)
        Of its elements.
    settings : Settings
    refine : callable
        From the quantity that the observer chose and the real context to the one to use.
    """
    heads, tokens = p.codes.shape[1], p.codes.shape[-1]
    bound = tokens * p.quantity.codes.high * value.codes.high
    acc = integer_matmul(p.codes, _heads(v, heads), bound=bound).transpose(1, 2).reshape(v.shape)
    unit = p.quantity.scale * value.scale
    real = acc.to(torch.float64) * unit
    bias = value.offset
    if settings.recipe.correct_bias and real[..., 0].numel() >= ENOUGH_SAMPLES:
        error = (target.to(torch.float64) - real) * importance
        bias = error.flatten(0, 1).sum(0) / importance.flatten(0, 1).sum(0)
    codes = UnsignedCodes(settings.bits(tensor(name).product).a)
    out = observe(name, real + bias, codes, settings.recipe.observer, settings.generator,
                  channels=CHANNELS[settings.recipe.channels], importance=importance)
    out = refine(out, real + bias)
    requantizer = build_context(name, p.quantity, value, bias, out, tokens, settings)
    return out, bias, requantizer, requantizer(acc)
