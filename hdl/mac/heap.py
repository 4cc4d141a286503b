"""Plan how carry chains add up a heap of bits.

A heap is a list of columns; column k holds bits of weight ``2**k``. A ripple-carry chain over n columns takes two
bits of each, and a third of its lowest column as its carry in; it gives one bit of each column and a carry into the
next: n bits fewer for n + 1 cells. So the fewer and the longer the chains are, the cheaper: a heap of B bits costs
about B cells plus one per chain, whatever the numbers that the bits belong to.
"""

from dataclasses import dataclass
from functools import cache
from typing import Generic, TypeVar

__all__ = [
    "EAGER", "Chain", "Patience", "best_patience", "fewest_bits", "levels_suffice", "next_columns", "plan_cost",
    "plan_level",
]

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


@dataclass(frozen=True, order=True)
class Patience:
    """When to leave bits for a later level instead of spending a short chain on them.

    A chain of fewer than ``shortest`` columns is not made while the heap would still be low enough for the levels
    that are needed anyway, or for ``slack`` levels more. With ``shortest = 0`` nothing is ever left.
    """

    shortest: int
    slack: int


EAGER = Patience(0, 0)
_PATIENCE = EAGER, Patience(2, 0), Patience(2, 1), Patience(99, 0)


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


def _fits(heights: list[int], lowest: int, levels: int) -> bool:
    """Return whether ``levels`` levels can add up a heap: each halves it, and has carry ins for the lowest column."""
    limits = 1 << levels, (2 << levels) - 1
    return all(height <= limits[k == lowest] for k, height in enumerate(heights))


def plan_level(
    columns: list[list[T]], fewest: int, patience: Patience = EAGER,
) -> tuple[list[Chain[T]], list[list[T]]]:
    """Return the chains of one level and the bits that none of them takes, by column.

    Each chain starts at the lowest column that still has two bits and goes on for as long as columns have ``fewest``.
    """
    left = [list(column) for column in columns]
    heights = [len(column) for column in columns]  # after this level
    lowest = next((k for k, height in enumerate(heights) if height), 0)
    later = 0
    while not _fits(heights, lowest, later + 1):
        later += 1
    later += patience.slack
    chains = []
    while True:
        start = next((k for k, column in enumerate(left) if len(column) > 1), None)
        if start is None:
            return chains, left
        end = next((k for k in range(start, len(left)) if len(left[k]) < fewest), len(left))
        if end - start < patience.shortest and _fits(heights, lowest, later):
            return chains, left
        carry_in = left[start].pop(0) if len(left[start]) > 2 else None
        pairs = []
        for column in left[start:end]:
            x = column.pop(0) if column else None
            y = column.pop(0) if column else None
            pairs.append((x, y))
        chains.append(Chain(start, carry_in, tuple(pairs), end < len(columns)))
        heights = [len(column) for column in next_columns(chains, left)]


def next_columns(chains: list[Chain], left: list[list[T]]) -> list[list[T | None]]:
    """Return the heap behind a level: the bits that are left, and None for each output of its chains."""
    columns = [list(column) for column in left]
    for chain in chains:
        for column in columns[chain.start:chain.start + len(chain.pairs) + chain.carry_out]:
            column.append(None)
    return columns


def plan_cost(columns: list[list[T]], levels: int, patience: Patience) -> tuple[int, int]:
    """Return the height that a heap has after ``levels`` levels, and how many cells they take."""
    cells = 0
    for _ in range(levels):
        chains, left = plan_level(columns, fewest_bits(columns), patience)
        cells += sum(len(chain.pairs) + 1 for chain in chains)
        columns = next_columns(chains, left)
    return max(map(len, columns)), cells


@cache
def _cheapest(heights: tuple[int, ...], levels: int) -> tuple[int, int, Patience]:
    columns = [[None] * height for height in heights]
    return min((*plan_cost(columns, levels, patience), patience) for patience in _PATIENCE)


def levels_suffice(heights: tuple[int, ...], levels: int) -> bool:
    """Return whether a heap whose columns have ``heights`` bits comes down to one row in ``levels`` levels."""
    return _cheapest(heights, levels)[0] <= 1


def best_patience(heights: tuple[int, ...], levels: int) -> Patience:
    """Return the patience with which ``levels`` levels bring a heap to one row for the fewest cells.

    Raises
    ------
    ValueError
        No plan does it in so few levels.
    """
    if not levels_suffice(heights, levels):
        raise ValueError(f"a heap of {max(heights)} rows does not come down to one in {levels} levels")
    return _cheapest(heights, levels)[2]
