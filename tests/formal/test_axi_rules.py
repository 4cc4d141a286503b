# amaranth: UnusedElaboratable=no
import pytest
from amaranth.hdl import Module
from vitric.formal.axi_rules import CHECKS, MAP, AxiRules
from vitric.formal.catalogue import PROOFS
from vitric.formal.prover import Unrolled, prove
from vitric.integration.axi_lite import AxiLite
from vitric.integration.register_block import RegisterBlock


def result(check, folder, unit=None, method=None):
    proof = PROOFS[f"axi_lite.{check}"]
    design = proof.build() if unit is None else AxiRules(unit, check)
    return prove(design, method or proof.method, folder, seconds=100).status


@pytest.mark.parametrize("check", CHECKS)
def test_proved(check, tmp_path):
    assert result(check, tmp_path) == "proved"


class Impatient(AxiLite):
    """A planted fault: an answer to a read goes after a cycle, taken or not."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        with m.If(self.s_axi_rvalid):
            m.d.sync += self.s_axi_rvalid.eq(0)
        return m


class Eager(AxiLite):
    """A planted fault: a write is answered without its data."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        with m.If(self.s_axi_awvalid & self.s_axi_awready):
            m.d.sync += self.s_axi_bvalid.eq(1)
        return m


@pytest.mark.parametrize("fault", [Impatient, Eager])
def test_wrong_answers(fault, tmp_path):
    assert result("answers", tmp_path, fault(MAP), Unrolled(12)) == "failed"


def test_strobes_that_do_not_count(tmp_path, monkeypatch):
    good = RegisterBlock._field

    def whole_words(self, m: Module, register, field, here, strobe):
        good(self, m, register, field, here, ~(strobe & 0))

    monkeypatch.setattr(RegisterBlock, "_field", whole_words)
    assert result("values", tmp_path, AxiLite(MAP), Unrolled(12)) == "failed"


def test_unknown_check():
    with pytest.raises(ValueError, match="check must be one of answers, values, not 'rows'"):
        AxiRules(AxiLite(MAP), "rows")
