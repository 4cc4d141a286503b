# amaranth: UnusedElaboratable=no
import pytest
from amaranth.hdl import Fragment, Instance, signed, unsigned
from vitric.hdl.activation.multiply import RegisteredProduct

# That they multiply is tested under Verilator: tests/sim/test_bench_layernorm.py and test_bench_requantize.py.


@pytest.mark.parametrize(("mapping", "cell"), [("generic", None), ("ecp5", "MULT18X18D"), ("ice40", "SB_MAC16")])
def test_one_primitive_per_product(mapping, cell):
    fragment = Fragment.get(RegisteredProduct(signed(18), unsigned(18), mapping=mapping), None)
    assert [sub.type for sub, *_ in fragment.subfragments if isinstance(sub, Instance)] == [cell] * (cell is not None)
