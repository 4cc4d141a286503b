# amaranth: UnusedElaboratable=no
import pytest
from amaranth.hdl import Fragment, Instance, signed, unsigned
from vitric.hdl.fabric.multiply import RegisteredProduct

# That they multiply is tested under Verilator: tests/sim/benches/test_layernorm.py, test_bench_mac.py and
# test_bench_requantize.py.


def cells(product):
    return [sub.type for sub, *_ in Fragment.get(product, None).subfragments if isinstance(sub, Instance)]


@pytest.mark.parametrize(("fabric", "expected"), [
    ("generic", []), ("ecp5", ["MULT18X18D"]), ("ice40", ["SB_MAC16"]), ("gowin", ["MULT18X18"]),
])
def test_one_primitive_per_product(fabric, expected):
    assert cells(RegisteredProduct(signed(18), unsigned(18), fabric=fabric)) == expected


@pytest.mark.parametrize(("a", "b", "expected"), [
    (unsigned(9), signed(9), "MULT9X9"), (signed(10), signed(2), "MULT18X18"), (signed(2), unsigned(10), "MULT18X18"),
])
def test_half_a_multiplier_where_operands_fit(a, b, expected):
    assert cells(RegisteredProduct(a, b, fabric="gowin")) == [expected]
