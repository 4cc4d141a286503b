"""The measured figures of the README are those of the results in build/ that were stored."""

import json
from pathlib import Path

import pytest

from bench import readme
from docs import pages

ROOT = pages.ROOT
SIM = {
    "images": 32, "values_compared": 12345, "values_differ": 0, "cycles_per_image": 1500.4, "mac_bound_cycles": 1000,
    "accuracy": {"float": 1.0, "golden": 0.96875, "rtl": 0.96875}, "array_utilization": 0.6667, "array_busy": 0.7,
    "verilator_cycles_per_second": 250000,
}
REPORT = {
    "fmax_mhz": 71.25, "clock_mhz": 50.0, "timing_met": True, "lut4": 20000, "ccu2c": 3000, "ff": 9000, "dsp": 16,
    "bram": 60, "cycles_per_image": 1500, "images_per_second": 33333.3,
}


def write_reports(build: Path, sim=SIM, report=REPORT) -> Path:
    (build / "tiny" / "ulx3s").mkdir(parents=True, exist_ok=True)
    (build / "tiny" / "sim.json").write_text(json.dumps({"config": "tiny", **sim}))
    (build / "tiny" / "ulx3s" / "report.json").write_text(json.dumps(report))
    return build


def test_measured_figures_are_the_stored_ones():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    stored = json.loads(readme.FIGURES.read_text(encoding="utf-8"))
    assert pages.part(text, "measured figures") == readme.table(stored), "run python -m bench.readme --stored"


def test_figures_are_collected(tmp_path):
    before = {"sim": {"digits": {"commit": "aaa", **SIM}}, "bitstream": {}}
    figures = readme.collect(before, write_reports(tmp_path), "bbb")
    assert figures["sim"] == {"digits": {"commit": "aaa", **SIM}, "tiny": {"commit": "bbb", **SIM}}
    assert figures["bitstream"] == {"tiny/ulx3s": {"commit": "bbb", **REPORT}}
    assert readme.collect(figures, tmp_path, "ccc") == figures  # the same results keep their commit
    write_reports(tmp_path, sim=SIM | {"images": 64})
    assert readme.collect(figures, tmp_path, "ccc")["sim"]["tiny"]["commit"] == "ccc"
    table = readme.table(figures)
    assert ("| tiny | 32 | 12,345 | 0 | 100.00 % / 96.88 % / 96.88 % | 1,500 | 1,000 | 66.7 % | 250,000 | bbb |"
            in table.splitlines())
    assert ("| tiny/ulx3s | 71.2 MHz | 50 MHz | met | 20,000 | 3,000 | 9,000 | 16 | 60 | 1,500 | 33,333.3 | bbb |"
            in table.splitlines())


def test_figures_of_a_run_without_labels(tmp_path):
    sim = SIM | {"accuracy": {"float": None, "golden": None, "rtl": None}}
    figures = readme.collect({"sim": {}, "bitstream": {}}, write_reports(tmp_path, sim=sim), "bbb")
    assert "| – / – / – |" in readme.table(figures)


def test_incomplete_report_is_named(tmp_path):
    write_reports(tmp_path, report={name: value for name, value in REPORT.items() if name != "bram"})
    with pytest.raises(ValueError, match=r"report\.json lacks bram"):
        readme.collect({"sim": {}, "bitstream": {}}, tmp_path, "bbb")
