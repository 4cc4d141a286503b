# amaranth: UnusedElaboratable=no
import pytest
from amaranth.hdl import Module, Signal
from vitric.formal.catalogue import PROOFS
from vitric.formal.prover import prove
from vitric.formal.stream_rules import CHECKS
from vitric.hdl.activation.requantize import Requantize
from vitric.hdl.mac.generic import GenericDot
from vitric.hdl.units import UNITS

QUICK = [
    "fixed_3.definition", "buffer.order", "queue_2_buffered.count", "mac.order", "requantize.value", "gelu.value",
    "softmax_norm.progress", "softmax.hold", "multiplier_ecp5_11.twin",
]


def result(name, folder, seconds=60):
    proof = PROOFS[name]
    return prove(proof.build(), proof.method, folder, sources=proof.sources, seconds=seconds)


@pytest.mark.parametrize("name", QUICK)
def test_quick_proofs(name, tmp_path):
    assert result(name, tmp_path).status == "proved"


@pytest.mark.parametrize("unit", ["register", "buffer", "queue_5_buffered", "widen", "narrow", *UNITS])
def test_every_unit_has_every_check(unit):
    assert {check for check in CHECKS if f"{unit}.{check}" in PROOFS} == set(CHECKS)


def test_sum_of_the_array_that_drops_a_term(tmp_path, monkeypatch):
    def elaborate(self, platform):
        m = Module()
        kept = Signal.like(self.dot)
        m.submodules.inner = inner = _dot(self.spec)
        m.d.comb += [inner.a[0].eq(self.a[0]), inner.w.eq(self.w), inner.en.eq(self.en), kept.eq(inner.dot),
                     self.dot.eq(kept)]
        return m

    good = GenericDot.elaborate

    class Inner(GenericDot):
        def elaborate(self, platform):
            return good(self, platform)

    _dot = Inner
    monkeypatch.setattr(GenericDot, "elaborate", elaborate)
    assert result("mac.order", tmp_path).status == "failed"


def test_requantize_that_rounds_down(tmp_path, monkeypatch):
    good = Requantize._clamp

    def clamp(self, m, floor, half, *others):
        return good(self, m, floor, half & floor[0], *others)

    monkeypatch.setattr(Requantize, "_clamp", clamp)
    assert result("requantize.value", tmp_path).status == "failed"
