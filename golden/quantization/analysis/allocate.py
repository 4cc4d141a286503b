"""Mixed precision: the widths of each product that lose least under a budget.

Errors of the logits add up over the products (:mod:`~vitric.golden.quantization.analysis.layer_errors`), and so do
costs. What is left is a knapsack problem with one choice per product, solved exactly by dynamic programming over the
efficient combinations: those that no other one beats in both cost and error (Nemhauser and Ullmann 1969).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product as pairs_of

import numpy as np

from ...spec.check import check_int
from ...spec.vit import VitConfig
from ..bits import PIXEL_BITS, Bits, product_macs
from .layer_errors import WIDTHS, LayerErrors

__all__ = ["Allocation", "BudgetTooSmall", "allocate", "average_bits", "bit_costs", "choices"]

MAX_STATES = 1 << 21
"""Efficient combinations that are followed at most; digits under a budget of bits has some ten thousand."""


class BudgetTooSmall(ValueError):
    """Not even the cheapest widths keep the budget."""


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """Widths for every product.

    Parameters
    ----------
    layer_bits : dict of str to Bits
        By product.
    cost : int
        Sum of the costs of the choices.
    error : float
        Sum of their errors: the mean squared error of the logits to expect.
    """

    layer_bits: dict[str, Bits]
    cost: int
    error: float


def choices(product: str, widths: Iterable[int]) -> tuple[Bits, ...]:
    """Return the widths that a product can have."""
    widths = tuple(sorted(set(widths)))
    return tuple(Bits(w, a) for w, a in pairs_of(widths, (PIXEL_BITS,) if product == "patch_embed" else widths))


def bit_costs(config: VitConfig, widths: Sequence[int] = WIDTHS) -> dict[str, dict[Bits, int]]:
    """Return for each product and choice the bits of the operands of all its multiply-accumulates, per image."""
    return {name: {bits: macs * (bits.w + bits.a) for bits in choices(name, widths)}
            for name, macs in product_macs(config).items()}


def average_bits(config: VitConfig, layer_bits: Mapping[str, Bits]) -> float:
    """Return the mean width of the operands of a multiply-accumulate: ``sum(macs * (w + a)) / (2 * sum(macs))``."""
    return sum(macs * sum(layer_bits[name]) for name, macs in product_macs(config).items()) / (2 * config.total_macs)


def allocate(costs: Mapping[str, Mapping[Bits, int]], errors: LayerErrors, budget: int) -> Allocation:
    """Return the choice of widths with the least error among those that cost at most ``budget``: exact.

    Parameters
    ----------
    costs : mapping of str to mapping of Bits to int
        Cost, 0 or more, of each choice of each product.
    errors : LayerErrors
        Of the same products and widths.
    budget : int
        Largest sum of costs.

    Raises
    ------
    BudgetTooSmall
        The cheapest choices cost more.
    TypeError, ValueError
        A cost is not an integer of 0 or more, an error is not known, or there are more than :data:`MAX_STATES`
        efficient combinations; then fewer widths to choose from help, or coarser costs.
    """
    names = list(costs)
    for name in names:
        for bits, cost in costs[name].items():
            check_int(f"cost of {name} at W{bits.w}A{bits.a}", cost, 0, 2**62)
    least = [min(costs[name].values()) for name in names]
    if sum(least) > budget:
        raise BudgetTooSmall(f"budget must be at least {sum(least)}, the cost of the cheapest widths, not {budget}")
    later = np.cumsum([0, *least[::-1]])[::-1]  # at least what the products from here on cost
    total_cost, total_error = np.zeros(1, dtype=np.int64), np.zeros(1)
    steps = []
    for index, name in enumerate(names):
        offered = list(costs[name])
        cost = np.array([costs[name][bits] for bits in offered], dtype=np.int64)
        error = np.array([errors.of(name, bits) for bits in offered])
        all_costs = (total_cost[:, None] + cost).reshape(-1)
        all_errors = (total_error[:, None] + error).reshape(-1)
        order = np.flatnonzero(all_costs <= budget - later[index + 1])
        order = order[np.lexsort((all_errors[order], all_costs[order]))]
        sums = all_errors[order]
        best_before = np.minimum.accumulate(np.concatenate([[np.inf], sums[:-1]]))
        kept = order[sums < best_before]
        if len(kept) > MAX_STATES:
            raise ValueError(f"widths must leave at most {MAX_STATES} efficient combinations, not {len(kept)} after "
                             f"{name}; give fewer widths")
        steps.append((offered, kept))
        total_cost, total_error = all_costs[kept], all_errors[kept]
    state, layer_bits = len(total_error) - 1, {}
    for name, (offered, kept) in zip(reversed(names), reversed(steps), strict=True):
        state, choice = divmod(int(kept[state]), len(offered))
        layer_bits[name] = offered[choice]
    return Allocation(layer_bits=dict(reversed(layer_bits.items())), cost=int(total_cost[-1]),
                      error=float(total_error[-1]))
