"""What the widths of a network cost: operand bits, cycles of an image, bytes of the model stream."""

from collections.abc import Mapping, Sequence
from functools import cache

from vitric.golden.quantization.analysis.allocate import average_bits, bit_costs, choices
from vitric.golden.quantization.bits import Bits, product_names
from vitric.golden.quantization.methods import Method
from vitric.golden.quantization.products import stored_bits
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.vit import VitConfig

from .blank import blank_integer_vit
from .plan import plan_model

__all__ = ["MEASURES", "CostModel"]

MEASURES = ("bits", "cycles", "bytes")
"""Mean width of the operands of a multiply-accumulate, cycles of an image, bytes of the model stream."""


class CostModel:
    """Costs of one network on one accelerator, whatever its weights are.

    Parameters
    ----------
    config : VitConfig
    spec : AcceleratorSpec
    method : Method
        Methods with code books store probabilities or GELU outputs in 8 bits, whatever the width of their codes.
    """

    def __init__(self, config: VitConfig, spec: AcceleratorSpec, method: Method):
        self.config, self.spec, self.method = config, spec, method
        self._cost = cache(self._plan)

    def measure(self, layer_bits: Mapping[str, Bits]) -> dict[str, float]:
        """Return the cost of widths for all products, by the names of :data:`MEASURES`.

        Raises
        ------
        CompileError
            A model of these widths does not fit the accelerator.
        """
        cycles, size = self._cost(tuple(self._stored(name, layer_bits[name]) for name in product_names(self.config)))
        return {"bits": average_bits(self.config, layer_bits), "cycles": cycles, "bytes": size}

    def increments(self, measure: str, widths: Sequence[int]) -> tuple[dict[str, dict[Bits, int]], int]:
        """Return the cost of each choice of each product, and what comes on top of their sum, both integers.

        Bits are those of the operands of all multiply-accumulates of an image, exactly. Cycles and bytes are what a
        model grows by if the operands of this product alone have so many planes; bytes add up exactly, cycles nearly,
        because one command loads its operands while another one computes.
        """
        if measure == "bits":
            return bit_costs(self.config, widths), 0
        index = MEASURES.index(measure) - 1
        names = product_names(self.config)
        start = dict.fromkeys(names, Bits(self.spec.w_bits, self.spec.a_bits))
        fixed = self._cost(tuple(start.values()))[index]
        costs = {}
        for name in names:
            costs[name] = {}
            for bits in choices(name, widths):
                stored = self._stored(name, bits)
                changed = start | {name: Bits(self._whole(stored.w, self.spec.w_bits),
                                              self._whole(stored.a, self.spec.a_bits))}
                costs[name][bits] = max(self._cost(tuple(changed.values()))[index] - fixed, 0)
        return costs, fixed

    def _stored(self, product: str, bits: Bits) -> Bits:
        return stored_bits(product, bits, self.method, self.spec.a_bits)

    @staticmethod
    def _whole(bits: int, plane: int) -> int:
        """Return the width of so many whole planes: what costs the same."""
        return -(-bits // plane) * plane

    def _plan(self, layer_bits: tuple[Bits, ...]) -> tuple[int, int]:
        """Return cycles and bytes."""
        by_name = dict(zip(product_names(self.config), layer_bits, strict=True))
        model = blank_integer_vit(self.config, self.spec, by_name.__getitem__,
                                  softmax_table=self.method.probabilities != "uniform")
        plan = plan_model(model, self.spec)
        return plan.prediction.cycles, plan.words * self.spec.model_bits // 8
