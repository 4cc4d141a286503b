import json

import pytest
from typer.testing import CliRunner
from vitric.flow.cli import app
from vitric.flow.commands import formal
from vitric.formal import catalogue
from vitric.formal.catalogue import Proof
from vitric.formal.prover import Unrolled
from vitric.golden.errors import UserError

from tests.formal.test_prover import Counter

KNOWN = ["mac.hold", "mac.order", "mac_lut.hold", "fixed.definition"]


@pytest.mark.parametrize(("names", "chosen"), [
    ([], KNOWN), (["mac"], KNOWN[:2]), (["mac*"], KNOWN[:3]),
    (["fixed", "mac.order"], ["mac.order", "fixed.definition"]),
    (["*.hold"], ["mac.hold", "mac_lut.hold"]),
])
def test_choose(names, chosen):
    assert formal.choose(names, KNOWN) == chosen


def test_unknown_name():
    with pytest.raises(UserError, match="there is no proof 'coffee'; there are proofs of mac, mac_lut, fixed"):
        formal.choose(["mac", "coffee"], KNOWN)


def test_report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    proofs = {name: Proof(name, "counts", lambda never=never: Counter(never), Unrolled(12))
              for name, never in (("good.twin", 10), ("bad.twin", 1))}
    monkeypatch.setattr(catalogue, "PROOFS", proofs)
    done = CliRunner().invoke(app, ["formal", "--json", "report.json"])
    assert done.exit_code == 1, done.output
    assert "1 of 2 proved" in done.output
    assert "bad.twin: counts: broken after 2 cycles" in done.output.replace("\n", " ")
    good, bad = json.loads((tmp_path / "report.json").read_text())["proofs"]
    assert (good["status"], bad["status"]) == ("proved", "failed")
    lines = (tmp_path / "build/formal/bad.twin/counterexample.txt").read_text().splitlines()
    assert lines[0].split() == ["cycle", "step", "rst"] and len(lines) == 3
    done = CliRunner().invoke(app, ["formal", "good"])
    assert done.exit_code == 0 and "1 of 1 proved" in done.output


def test_two_processes_say_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    reports = []
    for jobs in (1, 2):
        done = CliRunner().invoke(app, ["formal", "register", "--jobs", str(jobs), "--json", "report.json"])
        assert done.exit_code == 0, done.output
        proofs = json.loads((tmp_path / "report.json").read_text())["proofs"]
        reports.append([{**proof, "seconds": 0} for proof in proofs])
    assert reports[0] == reports[1] and len(reports[0]) > 1
