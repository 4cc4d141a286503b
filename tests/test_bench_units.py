# amaranth: UnusedElaboratable=no
import json

import pytest
from vitric.flow.inputs.units import parse_settings
from vitric.golden.errors import UserError
from vitric.golden.spec.mac import MacArraySpec
from vitric.golden.spec.requantize import RequantizeSpec
from vitric.hdl.units import UNITS
from vitric.toolchain.parts import PARTS

from bench import units, units_page
from bench.bounds import BOUNDS, bound, mac_bound, multiplexer

FIGURES = json.loads((units.FOLDER / "figures.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("row", {str(row): row for row in units.ROWS + units.PLOT_ROWS}.values(), ids=str)
def test_rows_are_legal(row):
    texts = [f"{name}={','.join(map(str, value)) if isinstance(value, tuple) else value}"
             for name, value in row.settings.items()]
    assert parse_settings(UNITS[row.unit], texts) == row.settings
    assert row.device in PARTS and set(row.aim) <= set(units_page.AIMS)


def test_rows_cover_every_unit_and_fabric():
    for device in ("ecp5-85k", "up5k", "gw1nr-9"):
        assert {row.unit for row in units.ROWS if row.device == device and row.pnr} == set(UNITS)
    assert {row.settings["mapping"] for row in units.PLOT_ROWS} == {"generic", "lut", "dsp"}
    assert set(BOUNDS) == set(UNITS)


def test_bounds_by_hand():
    spec = MacArraySpec(rows=1, cols=1, depth=2, a_bits=2, w_bits=3, acc_bits=12)
    assert spec.dot_bits == 6  # 2 * 3 * 3 = 18
    assert mac_bound(spec) == (2 * 6 + 12 - 6) / 2
    assert mac_bound(spec, "ice40") == (2 * 12 + 12 - 6) / 2
    assert mac_bound(spec, "gowin") == (2 * 9 + 12 - 6) / 2
    assert mac_bound(spec, dsp=1) == (2 * 6 + 12 - 6) / 2  # 2 + 3 + 1 bits
    spec = MacArraySpec(rows=1, cols=1, depth=16, a_bits=4, w_bits=4, acc_bits=24)
    assert mac_bound(spec, dsp=2) == (8 * 9 + 8 * 16 + 24 - spec.dot_bits) / 16
    assert [multiplexer(n) for n in (1, 2, 3, 4, 8)] == [0, 1, 2, 2, 4]
    wide = MacArraySpec(rows=1, cols=1, depth=2, a_bits=8, w_bits=8, acc_bits=24)
    assert [mac_bound(wide, fabric, dsp=1) for fabric in ("ecp5", "gowin")] == [
        (17 + 64 + 24 - wide.dot_bits) / 2, (2 * 17 + 24 - wide.dot_bits) / 2]
    spec = RequantizeSpec(lanes=1, acc_bits=24)
    assert bound("requantize", spec, "ecp5", 1) == 33 + 18 * 2 + 2 * 18 + 17
    assert bound("requantize", RequantizeSpec(lanes=1, acc_bits=24, multiplier_bits=0), "ecp5", 0) == 33 + 36 + 36 + 17


def figures_of(**changes):
    report = {"lut4": 8, "ccu2c": 1, "dpr16x4": 0, "carry": 2, "lut_eq": 10, "ff": 3, "dsp": 0, "bram": 0, "fits": True,
              "fmax_mhz": 99.6, "seeds": [{"seed": 1, "fmax_mhz": 99.6}], "lanes": 4, "lut_eq_per_lane": 2.5,
              "tools": {"vitric": "1", "yosys": "0.70"}, "seconds": {}}
    return report | changes


def test_a_measured_row_is_not_measured_again(tmp_path, monkeypatch):
    calls = []

    def measure(unit, settings, part, *, pnr, seeds, freq, build):
        calls.append((unit.name, part.key, pnr, seeds, freq))
        return figures_of()

    monkeypatch.setattr(units, "measure", measure)
    row = units.Row(unit="gelu", device="up5k", settings={"lanes": 4})
    first = units.run_row(row, cache=tmp_path)
    assert first == units.run_row(row, cache=tmp_path) and len(calls) == 1
    assert first["bound"] == 0 and first["lut_eq_per_lane"] == 2.5 and "seconds" not in first
    units.run_row(row, cache=tmp_path, seeds=2)
    units.run_row(units.Row(unit="gelu", device="up5k", settings={"lanes": 3}), cache=tmp_path)
    units.run_row(units.Row(unit="gelu", device="gw1nr-9", settings={"lanes": 4}), cache=tmp_path)
    units.run_row(units.Row(unit="gelu", device="up5k", settings={"lanes": 4}, freq=33), cache=tmp_path)
    assert calls == [("gelu", "up5k", True, 1, None), ("gelu", "up5k", True, 2, None), ("gelu", "up5k", True, 1, None),
                     ("gelu", "gw1nr-9", True, 1, None), ("gelu", "up5k", True, 1, 33)]


def test_a_stored_row_is_not_measured_again(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(units, "measure", lambda *arguments, **options: calls.append(arguments) or figures_of())
    row = units.Row(unit="gelu", device="up5k", settings={"lanes": 4})
    first = units.run_row(row, cache=tmp_path / "a")
    stored = {first["key"]: first | {"aim": {"fmax_mhz": 1}}}
    assert units.run_row(row, cache=tmp_path / "b", stored=stored) == first and len(calls) == 1
    units.run_row(units.Row(unit="gelu", device="up5k", settings={"lanes": 3}), cache=tmp_path / "b", stored=stored)
    assert len(calls) == 2


def test_a_row_that_cannot_be_built_says_why(tmp_path, monkeypatch):
    def measure(*arguments, **options):
        raise UserError("too large")

    monkeypatch.setattr(units, "measure", measure)
    row = units.run_row(units.Row(unit="gelu", device="up5k", settings={"lanes": 4}), cache=tmp_path)
    assert row["error"] == "too large" and not list(tmp_path.iterdir())
    assert "| gelu | lanes 4 | too large |" in units_page.table([row])


def test_table():
    row = {"unit": "gelu", "settings": {"lanes": 4}, "aim": {"lut_eq_per_lane": 3, "fmax_mhz": 100}, "bound": 0.0}
    line = units_page.table([row | figures_of()]).splitlines()[-1]
    assert line == "| gelu | lanes 4 | 2.5 | 0.0 | 100 | ≤ 3, ≥ 100 MHz | 8 | 2 | 3 | 0 |  | 0 |"
    settings = {"rows": 1, "cols": 2, "depth": 3, "a_bits": 4, "w_bits": 5, "mapping": "lut", "shifts": 0}
    row = {"unit": "mac", "settings": settings, "aim": {}, "bound": 1.25}
    report = figures_of(fmax_mhz=None, lut_eq_per_mac=31.6, macs_per_dsp=3.5, dsp=2)
    line = units_page.table([row | report]).splitlines()[-1]
    assert line == "| mac | 1 × 2 × 3, 4 × 5 bits, `lut`, shifts 0 | 31.6 | 1.2 | – |  | 8 | 2 | 3 | 2 | 3.5 | 0 |"


def test_page_and_plot_are_those_of_the_figures():
    assert (units.FOLDER / "figures.md").read_text(encoding="utf-8") == units_page.page(FIGURES), "make bench-units"
    plot = (units.FOLDER / "lut_per_mac.svg").read_text(encoding="utf-8")
    assert plot == units_page.plot(FIGURES["plot"]), "make bench-units"
    assert "bits of each operand" in plot and all(f">{mapping}<" in plot for mapping in ("generic", "lut"))


def test_stored_figures_are_those_of_the_rows():
    assert [(row["unit"], row["device"]) for row in FIGURES["rows"]] == [(row.unit, row.device) for row in units.ROWS]
    assert [row["settings"] for row in FIGURES["rows"]] == [row.settings for row in units.ROWS]
    for row in FIGURES["rows"]:
        spec = UNITS[row["unit"]].make_spec(row["settings"])
        fabric = PARTS[row["device"]].family.name
        assert "error" in row or row["bound"] == bound(row["unit"], spec, fabric, row["dsp"])


def test_no_figure_is_below_its_bound():
    rows = [row for row in FIGURES["rows"] + FIGURES["plot"] if "error" not in row]
    assert len(rows) > 20
    assert [row for row in rows if row.get("lut_eq_per_mac", row.get("lut_eq_per_lane")) < row["bound"]] == []
