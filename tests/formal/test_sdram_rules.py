# amaranth: UnusedElaboratable=no
import pytest
from vitric.formal.catalogue import PROOFS
from vitric.formal.prover import Unrolled, prove
from vitric.formal.sdram_rules import CHECKS, SdramRules
from vitric.golden.spec.sdram import SdramSpec
from vitric.hdl.memory import SdramController, controller

QUICK = [check for check in CHECKS if check != "refresh"]


def result(check, folder, method=None):
    proof = PROOFS[f"sdram_2.{check}"]
    return prove(proof.build(), method or proof.method, folder, seconds=100).status


@pytest.mark.parametrize("check", QUICK)
def test_proved(check, tmp_path):
    assert result(check, tmp_path) == "proved"


@pytest.mark.parametrize(("cycles", "check"), [
    ("rcd", "times"), ("rp", "times"), ("active", "times"), ("rfc", "times"), ("mrd", "times"),
    ("write_recovery", "times"), ("turnaround", "bus"),
])
def test_one_cycle_too_few(cycles, check, tmp_path, monkeypatch):
    good = getattr(SdramSpec, cycles).fget
    monkeypatch.setattr(SdramSpec, cycles, property(lambda spec: good(spec) - 1))
    assert result(check, tmp_path, Unrolled(110)) == "failed"


def test_page_that_is_used_after_its_bank_was_closed(tmp_path, monkeypatch):
    def follow(page, rows):
        opened = rows.opened & (page.item.page.as_value() == rows.target.as_value())
        page.m.d.comb += page.stays.eq((page.open & ~rows.closes_all) | opened)
        page.m.d.sync += page.open.eq(page.stays)

    monkeypatch.setattr(controller._Page, "follow", follow)
    assert result("banks", tmp_path, Unrolled(110)) == "failed"


def test_refresh_that_is_late(tmp_path, monkeypatch):
    monkeypatch.setattr(SdramSpec, "refresh_slack", property(lambda spec: 9))
    assert result("refresh", tmp_path) == "failed"


def test_command_too_soon(tmp_path, monkeypatch):
    monkeypatch.setattr(SdramSpec, "power_up", property(lambda spec: 0))
    assert result("start", tmp_path, Unrolled(60)) == "failed"


def test_unknown_check():
    with pytest.raises(ValueError, match="check must be one of banks, times"):
        SdramRules(SdramController(SdramSpec(clock_hz=100_000_000)), "rows")
