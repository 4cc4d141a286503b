import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from vitric.flow.inputs import sources
from vitric.flow.inputs.sources import source_digest
from vitric.flow.studies import STUDIES, roofline, runner, study_named
from vitric.flow.studies.pages import load, stem, write
from vitric.flow.studies.runner import run_study
from vitric.flow.studies.store import Store
from vitric.flow.studies.study import Study, markdown_table, percent
from vitric.flow.tasks import Workers
from vitric.golden.errors import UserError

from tests.processes import alive, wait_for


class Squares:
    """A study that counts what it computes and can be interrupted."""

    def __init__(self, monkeypatch):
        self.computed, self.interrupt_at = [], None

        def run(case):
            if case["x"] == self.interrupt_at:
                raise KeyboardInterrupt
            self.computed.append(case["x"])
            return {"y": case["x"] ** 2}

        self.study = Study(
            name="squares", title="Squares", configs=lambda: ("tiny", "digits"), default=("tiny",),
            cases=lambda config, images: [{"config": config, "x": x} for x in range(5)], run=run,
            table=lambda records: markdown_table(["x", "y"], [[str(r["x"]), str(r["y"])] for r in records]),
            plot=lambda figure, records: figure.add_subplot().plot([r["y"] for r in records]), size=(3, 2),
            sources=("flow/studies/study.py",), measured=False)
        monkeypatch.setattr(runner, "study_named", {"squares": self.study}.__getitem__)

    def __call__(self, folder, **options):
        self.computed.clear()
        return run_study(self.study, self.study.cases("tiny", None), Store(folder, self.study), **options)


@pytest.fixture
def squares(monkeypatch):
    return Squares(monkeypatch)


def test_interrupted_study_goes_on(squares, tmp_path):
    whole = squares(tmp_path / "whole")
    assert whole == [{"config": "tiny", "x": x, "y": x * x} for x in range(5)] and squares.computed == [0, 1, 2, 3, 4]
    squares.interrupt_at = 3
    with pytest.raises(KeyboardInterrupt):
        squares(tmp_path / "parts")
    assert squares.computed == [0, 1, 2]
    squares.interrupt_at = None
    seen = []
    assert squares(tmp_path / "parts", on_case=lambda case, kept: seen.append((case["x"], kept))) == whole
    assert squares.computed == [3, 4]
    assert seen == [(0, True), (1, True), (2, True), (3, False), (4, False)]
    assert squares(tmp_path / "parts") == whole and squares.computed == []


def test_damaged_and_foreign_results_are_computed_again(squares, tmp_path):
    whole, store = squares(tmp_path), Store(tmp_path, squares.study)
    cases = squares.study.cases("tiny", None)
    store.path(cases[1]).write_text('{"case": {"config"')
    store.path(cases[2]).write_text(json.dumps({"case": cases[3], "result": {"y": -1}}))
    store.path(cases[4]).unlink()
    assert squares(tmp_path) == whole and squares.computed == [1, 2, 4]


def test_changed_sources_are_noticed(squares, tmp_path, monkeypatch):
    before = Store(tmp_path, squares.study)
    case, other = squares.study.cases("tiny", None)[:2]
    assert before.path(case) == Store(tmp_path, squares.study).path(case) != before.path(other)
    monkeypatch.setattr("vitric.flow.studies.store.source_digest", lambda *a: source_digest(*a) + "changed")
    assert Store(tmp_path, squares.study).path(case) != before.path(case)


def test_digest_of_sources(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "a.py").write_text("1")
    (tmp_path / "part" / "note.txt").write_text("1")
    first = source_digest(["part"], "torch 1")
    (tmp_path / "part" / "note.txt").write_text("2")
    assert source_digest(["part"], "torch 1") == first != source_digest(["part"], "torch 2")
    (tmp_path / "part" / "a.py").write_text("2")
    changed = source_digest(["part"], "torch 1")
    (tmp_path / "part" / "a.py").rename(tmp_path / "part" / "b.py")
    assert len({first, changed, source_digest(["part"], "torch 1")}) == 3
    with pytest.raises(UserError, match="other must be a file of vitric or a folder with sources"):
        source_digest(["other"])


def test_processes_give_the_same(tmp_path):
    study = roofline.STUDY
    cases = study.cases("tiny", None)[:5]
    both = [run_study(study, cases, Store(tmp_path / str(jobs), study), workers=Workers(jobs)) for jobs in (1, 2)]
    assert both[0] == both[1]
    assert all(Store(tmp_path / "2", study).get(case) is not None for case in cases)


def blocks_interrupts(process):
    mask, = re.findall(r"^SigBlk:\s*(\w+)", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
    return int(mask, 16) >> signal.SIGINT - 1 & 1


@pytest.mark.parametrize(("end", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_processes_end_with_the_one_that_started_them(tmp_path, end, status):
    """Ctrl-C goes to all of them, as a terminal sends it; a kill to the first one alone."""
    command = [sys.executable, "-m", "tests.flow.studies.slow_case", str(tmp_path)]
    with open(tmp_path / "said", "w+") as file:
        first = subprocess.Popen(command, cwd=sources.ROOT, stderr=file, start_new_session=True,
                                 preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # if `make test &`
        wait_for(lambda: len(list(tmp_path.glob("*.id"))) == 2)
        others = [int(path.stem) for path in tmp_path.glob("*.id")]
        assert all(map(blocks_interrupts, others))
        os.killpg(first.pid, end) if end == signal.SIGINT else first.send_signal(end)
        assert first.wait(20) == status
        file.seek(0)
        assert end == signal.SIGKILL or file.read() == "vitric: interrupted\n"
    wait_for(lambda: not any(map(alive, others)))


def test_files_of_a_study(squares, tmp_path):
    records = squares(tmp_path / "cases")
    name = stem(squares.study, "tiny")
    paths = write(squares.study, records, tmp_path, name)
    assert [path.name for path in paths] == ["squares.json", "squares.svg", "squares.md"]
    first = paths[1].read_bytes()
    assert load(squares.study, tmp_path) == {"squares": records}
    page = paths[2].read_text()
    assert "| x |  y |\n| - | -: |\n| 0 |  0 |\n" in page and "![Squares](squares.svg)" in page
    write(squares.study, records, tmp_path, name)
    assert paths[1].read_bytes() == first and b"<svg" in first and b"date" not in first


def test_registered_studies():
    for name in STUDIES:
        study = study_named(name)
        assert study.name == name and set(study.default) <= set(study.configs())
        cases = study.cases(study.default[0], None)
        unique = {json.dumps(case, sort_keys=True) for case in cases}
        assert len(unique) == len(cases) >= 5 and all(case["config"] == study.default[0] for case in cases)
        assert ("images" in cases[0]) == study.measured
    with pytest.raises(UserError, match="study must be one of methods, calibration, .*, not 'all'"):
        study_named("all")


def test_percent():
    assert percent(0.97775) == "97.78" and percent(None) == "–"
