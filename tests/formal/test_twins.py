# amaranth: UnusedElaboratable=no
import pytest
from amaranth.hdl import Module, signed
from vitric.formal import twins
from vitric.formal.prover import Pdr, Unrolled, prove
from vitric.formal.twins import Arithmetic, Twins
from vitric.hdl.fabric import carry
from vitric.hdl.fabric.carry import CarryChain, Cell
from vitric.hdl.fabric.multiply import RegisteredProduct


def test_wrong_table_of_a_carry_cell_is_found(tmp_path, monkeypatch):
    right = carry.ecp5_init
    monkeypatch.setattr(carry, "ecp5_init", lambda cell: right(cell) ^ (8 if cell is Cell.AND_AND else 0))
    cells = [Cell.LINK_AND, Cell.AND_AND, Cell.LINK_ZERO]
    pair = Twins(CarryChain(cells), CarryChain(cells, fabric="ecp5"))
    assert prove(pair, Pdr(), tmp_path, sources=("+/ecp5/cells_sim.v",)).status == "failed"


class Unsigned(RegisteredProduct):
    """A product that takes its first operand for unsigned."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = inner = RegisteredProduct(4, self.b_shape)
        m.d.comb += [inner.a.eq(self.a), inner.b.eq(self.b), inner.en.eq(self.en), self.p.eq(inner.p)]
        return m


def test_wrong_product_is_found(tmp_path):
    good = RegisteredProduct(signed(4), signed(4))
    outcome = prove(Twins(good, Unsigned(signed(4), signed(4))), Unrolled(5), tmp_path)
    assert outcome.status == "failed" and outcome.counterexample[0].keys() == {"a", "b", "en", "rst"}


@pytest.mark.parametrize(("name", "wrong"), [
    ("round_shift", lambda value, shift: value >> shift),
    ("saturate", lambda value, low, high: value),
    ("overflows", lambda value, bits: value[bits - 1:].any()),
    ("leading_one", lambda value: value[-1]),
])
def test_wrong_function_is_found(name, wrong, tmp_path, monkeypatch):
    monkeypatch.setattr(twins, name, wrong)
    assert prove(Arithmetic(3), Pdr(), tmp_path).status == "failed"


def test_twins_must_have_the_same_ports():
    with pytest.raises((ValueError, AttributeError)):
        Twins(CarryChain([Cell.LINK_ZERO]), RegisteredProduct(2, 2))
