"""The units that have a bench: what is built, and what the bench is told, for faults and for netlists."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial

from vitric.golden.spec.layernorm import LayerNormSpec
from vitric.golden.spec.mac import MacArraySpec
from vitric.golden.spec.requantize import RequantizeSpec, TableSpec
from vitric.golden.spec.softmax import SoftmaxSpec
from vitric.hdl.activation.gelu import Gelu
from vitric.hdl.activation.requantize import Requantize
from vitric.hdl.layernorm import LayerNorm
from vitric.hdl.mac.array import MacArray
from vitric.hdl.softmax import Softmax

__all__ = ["SMALL_UNITS", "UNITS", "BenchUnit"]


@dataclass(frozen=True, kw_only=True)
class BenchUnit:
    """A unit and its bench.

    Attributes
    ----------
    plain : callable () -> Component
        Makes the unit out of what every part has.
    fabric : callable () -> Component
        Makes the unit out of the cells of the ECP5.
    test_module : str
        Module with the cocotb tests.
    environment : dict of str to str
        Variables that tell the bench the parameters.
    """

    plain: Callable
    fabric: Callable
    test_module: str
    environment: Mapping[str, str] = field(default_factory=dict)


def _parameters(spec) -> str:
    return json.dumps(asdict(spec))


def _mac(**sizes) -> BenchUnit:
    spec = MacArraySpec(rows=2, cols=2, a_bits=3, w_bits=3, shifts=(0, 3), mapping="lut", **sizes)
    return BenchUnit(
        plain=partial(MacArray, spec, "generic"), fabric=partial(MacArray, spec, "ecp5"),
        test_module="vitric.sim.benches.mac", environment={"BENCH_MAC": _parameters(spec)})


def _requantize(**sizes) -> BenchUnit:
    spec = RequantizeSpec(lanes=2, bias_bits=16, multiplier_bits=8, shifts=(4, 8, 12, 20), **sizes)
    build = partial(Requantize, spec, tag_bits=3)
    return BenchUnit(
        plain=build, fabric=partial(build, mapping="ecp5"), test_module="vitric.sim.benches.requantize",
        environment={"VITRIC_SPEC": _parameters(spec), "VITRIC_TAG_BITS": "3"})


def _gelu(**sizes) -> BenchUnit:
    spec = TableSpec(lanes=2, **sizes)
    build = partial(Gelu, spec, tag_bits=spec.index_bits)
    return BenchUnit(
        plain=build, fabric=build, test_module="vitric.sim.benches.gelu",
        environment={"VITRIC_SPEC": _parameters(spec)})


def _softmax(**sizes) -> BenchUnit:
    spec = SoftmaxSpec(**sizes)
    build = partial(Softmax, spec)
    return BenchUnit(
        plain=build, fabric=build, test_module="vitric.sim.benches.softmax",
        environment={"VITRIC_SPEC": _parameters(spec)})


def _layernorm(**sizes) -> BenchUnit:
    spec = LayerNormSpec(max_length=40, **sizes)
    build = partial(LayerNorm, spec)
    return BenchUnit(
        plain=build, fabric=partial(build, mapping="ecp5"), test_module="vitric.sim.benches.layernorm",
        environment={"VITRIC_SPEC": _parameters(spec)})


UNITS: dict[str, BenchUnit] = {
    "mac": _mac(depth=4, acc_bits=24),
    "requantize": _requantize(acc_bits=20, out_bits=8),
    "gelu": _gelu(index_bits=5, out_bits=4),
    "softmax": _softmax(lanes=2, max_length=20, score_bits=15, frac_bits=10),
    "layernorm": _layernorm(lanes=2, in_bits=12),
}
"""What ``vitric mutate`` plants faults in: fine enough for a bench to see what the lowest bits do."""

SMALL_UNITS: dict[str, BenchUnit] = {
    "mac": _mac(depth=2, acc_bits=16),
    "requantize": _requantize(acc_bits=12, out_bits=4),
    "gelu": _gelu(index_bits=4, out_bits=3),
    "softmax": _softmax(lanes=1, max_length=4, score_bits=7, frac_bits=2, out_bits=4),
    "layernorm": _layernorm(lanes=1, in_bits=10, out_bits=4),
    "layernorm_fabric": _layernorm(lanes=1, in_bits=10, out_bits=4, row_products="fabric"),
}
"""The same, small enough to be synthesized in seconds."""
