"""Plan how carry chains add up a heap of bits.

A heap is a list of columns; column k holds bits of weight ``2**k``. A ripple-carry chain over n columns takes two
bits of each, and a third of its lowest column as its carry in; it gives one bit of each column and a carry into the
next: n bits fewer for n + 1 cells. So the fewer and the longer the chains are, the cheaper: a heap of B bits costs
about B cells plus one per chain, whatever the numbers that the bits belong to.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Chain", "fewest_bits", "plan_level"]

T = TypeVar("T")

_LOW = 4
"""Height of a low heap; the smallest that lets every heap of the array reach one row in the levels of its spec."""


@dataclass(frozen=True)
class Chain(Generic[T]):
    """One sum: ``pairs[n]`` are the bits it takes of column ``start + n``, None for no bit.

    ``carry_in`` is a third bit of the lowest column or None. ``carry_out`` says whether the carry of the highest
    column counts; where it is False that column is the heap's last, and arithmetic is modulo its double.
    """

    start: int
    carry_in: T | None
    pairs: tuple[tuple[T | None, T | None], ...]
    carry_out: bool


def fewest_bits(columns: list[list[T]]) -> int:
    """Return with how few bits a column should let a chain pass through it, by the height of the heap.

    2 is cheapest: no cell is spent on a bit that stays. In a low heap it is 1, which keeps carries from piling up and
    costing a level. When one chain can add up everything it is 0, so that this chain reaches the last column.
    """
    heights = [len(column) for column in columns]
    start = next((k for k, height in enumerate(heights) if height > 1), 0)
    if heights[start] <= 3 and all(height <= 2 for height in heights[start + 1:]):
        return 0
    return 1 if max(heights) <= _LOW else 2


def plan_level(columns: list[list[T]], fewest: int) -> tuple[list[Chain[T]], list[list[T]]]:
    """Return the chains of one level and the bits that none of them takes, by column.

    Each chain starts at the lowest column that still has two bits and goes on for as long as columns have ``fewest``.
    """
    left = [list(column) for column in columns]
    chains = []
    while True:
        start = next((k for k, column in enumerate(left) if len(column) > 1), None)
        if start is None:
            return chains, left
        carry_in = left[start].pop(0) if len(left[start]) > 2 else None
        pairs = []
        for column in left[start:]:
            if len(column) < fewest:
                break
            x = column.pop(0) if column else None
            y = column.pop(0) if column else None
            pairs.append((x, y))
        chains.append(Chain(start, carry_in, tuple(pairs), start + len(pairs) < len(columns)))
