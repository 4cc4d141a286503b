"""Code tables for probabilities: from uniform steps to codes whose values are few integers of such steps.

The array multiplies what a code is worth, in planes of its activation port. A code map with the values V, integers
from 0 to ``2**bits - 1``, is therefore executed by storing the value itself: the table takes each uniform code to the
nearest element of V. A code of k bits is worth one of at most ``2**k`` values.
"""

import bisect

import torch

from ..spec.check import check_int

__all__ = ["log2_values", "nearest_table", "twin_uniform_values"]


def nearest_table(values: tuple[int, ...], bits: int = 8) -> torch.Tensor:
    """Return the table ``table[u] = the element of values nearest to u``, a tie going to the larger one.

    Parameters
    ----------
    values : tuple of int
        What codes may be worth, ascending, each 0 to ``2**bits - 1``.
    bits : int
        Of the index and of the entries, 2 to 8.

    Returns
    -------
    torch.Tensor
        int64, shape (2**bits,).

    Raises
    ------
    TypeError, ValueError
        ``values`` does not ascend, is empty or has an element out of range; or ``bits`` is out of range.
    """
    check_int("bits", bits, 2, 8)
    if not values:
        raise ValueError("values must hold at least one integer, not none")
    for value in values:
        check_int("values", value, 0, (1 << bits) - 1)
    if list(values) != sorted(set(values)):
        raise ValueError(f"values must ascend, not {values}")
    middles = [(low + high) / 2 for low, high in zip(values, values[1:], strict=False)]
    return torch.tensor([values[bisect.bisect_right(middles, u)] for u in range(1 << bits)])


def log2_values(code_bits: int, bits: int = 8) -> tuple[int, ...]:
    """Return 0 and the powers of two that log2 codes of ``code_bits`` bits stand for (FQ-ViT; Lin et al. 2022).

    The code c < ``2**code_bits - 1`` is worth ``2**(bits - 1 - c)`` steps, the last code 0; no more than ``bits``
    octaves fit.

    Raises
    ------
    TypeError, ValueError
        ``code_bits`` is not between 2 and 8.
    """
    check_int("code_bits", code_bits, 2, 8)
    octaves = min((1 << code_bits) - 1, bits)
    return (0, *(1 << exponent for exponent in range(bits - octaves, bits)))


def twin_uniform_values(code_bits: int, shift: int, bits: int = 8) -> tuple[int, ...]:
    """Return the values of twin-uniform codes (PTQ4ViT; Yuan et al. 2022), in fine steps, without repetition.

    Half of the ``2**code_bits`` codes count steps of 1, the other half steps of ``2**shift``.

    Raises
    ------
    TypeError, ValueError
        ``code_bits`` is not between 2 and 8, or the coarse range does not fit ``bits`` bits.
    """
    check_int("code_bits", code_bits, 2, 8)
    check_int("shift", shift, 1, bits - code_bits + 1)
    half = 1 << code_bits - 1
    return tuple(sorted({*range(half), *(step << shift for step in range(half))}))
