"""Which codes probabilities and GELU outputs may have: for each name, the candidates that calibration chooses from.

A candidate is a code map. Those with more than one have a free parameter (the distance of two step sizes, the base of a
logarithm), found by least squared error together with the scale.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch

from ...integer.code_table import log2_values, twin_uniform_values
from .maps import BookCodes, CodeMap, UnsignedCodes
from .observers import Observer
from .quantity import Quantity, check_scale

__all__ = ["HIDDEN", "PROBABILITIES", "WIDTH", "fit_book"]

WIDTH = 8
"""Bits in which the values of a code book are stored."""

_LOG_STEPS = (0.25, 0.375, 0.5, 0.625, 0.75, 1.0, 1.25)  # octaves per code that AdaLog chooses from
_LOG_ZEROS = (3, 4, 6, 8, 11, 16, 23, 32, 45, 64)  # code of 0 where GELU's least value is code 0, its largest 255
_SAMPLES = 1 << 16  # that a choice among candidates sees
_UNIFORM = 0.8  # by what the error of uniform codes counts beside books: those that save less are better by chance


def _geometric(bits: int, octaves: float, zero: int = 0) -> BookCodes:
    """Return 0 and ``2**bits - 1`` values that fall by ``octaves`` from the largest, rounded, without repetition."""
    top = (1 << WIDTH) - 1
    values = {int(top * 2 ** (-code * octaves) + 0.5) for code in range((1 << bits) - 1)}
    return BookCodes(WIDTH, tuple(sorted({0, *values})), zero)


def _twin_probabilities(bits: int) -> tuple[CodeMap, ...]:
    return tuple(BookCodes(WIDTH, twin_uniform_values(bits, shift)) for shift in range(1, WIDTH - bits + 2))


def _twin_hidden(bits: int, plane_bits: int) -> tuple[CodeMap, ...]:
    """Return codes of which half are negative, in fine steps, and half positive, in steps of ``2**shift`` of those."""
    half = 1 << bits - 1
    return tuple(
        BookCodes(WIDTH, tuple(sorted({*range(half + 1), *(half + (step << shift) for step in range(half))})), half)
        for shift in range(WIDTH) if half + (half - 1 << shift) < 1 << WIDTH)


def _log_probabilities(bits: int) -> tuple[CodeMap, ...]:
    return tuple(_geometric(bits, octaves) for octaves in _LOG_STEPS)


def _log_hidden(bits: int, plane_bits: int) -> tuple[CodeMap, ...]:
    """Return codes that are a logarithm of the distance from the least value, as AdaLog's after its reparameterization.

    What the distance adds, the zero point takes off again in the biases behind, as AdaLog does by hand.
    """
    return tuple(_geometric(bits, octaves, zero) for octaves in _LOG_STEPS for zero in _LOG_ZEROS)


def _spare_hidden(bits: int, plane_bits: int) -> tuple[CodeMap, ...]:
    """Return uniform codes, and the others besides if their values take no more planes than codes of so many bits."""
    planes, most = (-(-width // plane_bits) for width in (bits, WIDTH))
    books = (*_twin_hidden(bits, plane_bits), *_log_hidden(bits, plane_bits)) if bits < WIDTH and planes == most else ()
    return (UnsignedCodes(bits), *books)


PROBABILITIES: Mapping[str, Callable[[int], tuple[CodeMap, ...]]] = MappingProxyType({
    "uniform": lambda bits: (UnsignedCodes(bits),),
    "log2": lambda bits: (BookCodes(WIDTH, log2_values(bits)),),
    "log_sqrt2": lambda bits: (_geometric(bits, 0.5),),
    "adaptive_log": _log_probabilities,
    "twin_uniform": _twin_probabilities,
})
"""Code maps of the attention probabilities by name: FQ-ViT, RepQ-ViT, AdaLog, PTQ4ViT."""

HIDDEN: Mapping[str, Callable[[int, int], tuple[CodeMap, ...]]] = MappingProxyType({
    "uniform": lambda bits, plane_bits: (UnsignedCodes(bits),),
    "twin_uniform": _twin_hidden,
    "adaptive_log": _log_hidden,
    "spare": _spare_hidden,
})
"""Code maps of GELU's outputs by name, for ports of ``plane_bits``: PTQ4ViT, AdaLog, all that cost nothing."""


def fit_book(
    name: str, x: torch.Tensor, candidates: tuple[CodeMap, ...], observer: Observer, importance: torch.Tensor,
    generator: torch.Generator,
) -> Quantity:
    """Return the candidate, and its scale, of least squared error; books beside uniform codes must save a fifth of it.

    Parameters
    ----------
    name : str
        Of the tensor, for error messages.
    x, importance : float tensors of one shape
        Values for the calibration images, and how much each counts.
    candidates
        Code maps of one entry of :data:`HIDDEN`.
    observer : Observer
        How the range of each is found.
    generator : torch.Generator
        Draws samples if there are very many values.
    """
    x, weight = x.to(torch.float64).reshape(-1), importance.reshape(-1)
    if len(x) > _SAMPLES:
        chosen = torch.randint(len(x), (_SAMPLES - 2,), generator=generator)
        chosen = torch.cat([chosen, torch.stack([x.argmin(), x.argmax()])])
        x, weight = x[chosen], weight[chosen]
    best = None
    for codes in candidates:
        scale, zero_point = observer(x[None], codes, weight[None])
        difference = codes.decode(codes.encode(x, scale, zero_point), scale, zero_point) - x
        error = float((difference.square() * weight).sum()) * (_UNIFORM if isinstance(codes, UnsignedCodes) else 1.0)
        if best is None or error < best[0]:
            best = error, codes, scale[0], int(zero_point[0])
    _, codes, scale, zero_point = best
    return Quantity(codes=codes, scale=check_scale(name, scale), zero_point=zero_point,
                    offset=torch.zeros((), dtype=torch.float64))
