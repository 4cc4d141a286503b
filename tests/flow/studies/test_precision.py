# amaranth: UnusedElaboratable=no
"""The study of widths with everything but Yosys and nextpnr."""

from dataclasses import replace

import pytest
from vitric.flow.fit.choose import choose, find
from vitric.flow.project import integer
from vitric.flow.project.project import open_project
from vitric.flow.reports import bitstream as bitstream_report
from vitric.flow.studies.evaluate import BITS
from vitric.flow.studies.pages import svg
from vitric.flow.studies.precision import STUDY, array_area, edge_bits, softmax_bits
from vitric.golden.integer.random import random_integer_vit
from vitric.golden.spec.arithmetic import Arithmetic

from tests.flow.bitstream_kit import CELLS

WIDTHS = ("w_bits", "a_bits", "edge_bits", "softmax_bits")
ARRAY = {"module": "system.accelerator.core.array", **CELLS, "lut_eq": 640, "dsp": 8}


@pytest.mark.parametrize(("w_bits", "a_bits", "edges", "probabilities"), [
    (8, 8, 8, 8), (6, 6, 6, 6), (4, 8, 8, 8), (4, 4, 8, 8), (3, 3, 3, 6), (2, 2, 2, 4)])
def test_edges_are_as_wide_as_the_machine_allows(w_bits, a_bits, edges, probabilities):
    assert (w_bits, a_bits) in BITS
    assert (edge_bits(w_bits, a_bits), softmax_bits(a_bits)) == (edges, probabilities)
    ports = replace(Arithmetic(), a_bits=a_bits, w_bits=w_bits)
    ports.check_product("patch_embed", 8, edges)
    if edges < 8 and edges < 2 * w_bits <= 8:
        with pytest.raises(ValueError, match="passes"):
            ports.check_product("patch_embed", 8, edges + 1)


@pytest.mark.parametrize(("w_bits", "a_bits"), [(3, 3), (4, 8)])
def test_a_width_is_fitted_placed_and_measured(w_bits, a_bits, tools, monkeypatch):
    """Cycles are those of the quantized widths; keys of random weights are as wide as weights."""
    case, = (case for case in STUDY.cases("tiny", None) if (case["w_bits"], case["a_bits"]) == (w_bits, a_bits))
    monkeypatch.setattr(integer, "integer_model", lambda project: random_integer_vit(
        project.vit, seed=1, spec=project.spec, **{name: case[name] for name in WIDTHS}))
    monkeypatch.setattr(bitstream_report, "breakdown", lambda family, folder: [{"module": "system", **CELLS}, ARRAY])
    assert STUDY.cases("tiny", None)[0] == {
        "config": "tiny", "w_bits": 8, "a_bits": 8, "edge_bits": 8, "softmax_bits": 8, "board": "ulx3s",
        "clock_mhz": 50}
    found = STUDY.run(case)
    project = open_project("tiny").changed({
        "quantization": {name: case[name] for name in WIDTHS},
        "board": {"name": "ulx3s", "clock_mhz": 50, "memory": "sdram"}})
    chosen = choose(find(project), "fps")
    assert {name: getattr(chosen.spec, name) for name in found["spec"]} == found["spec"]
    assert tools.top.system.sdram is not None
    assert found["macs_per_cycle"] == chosen.spec.macs_per_cycle
    assert (found["cycles"], found["utilization"]) == (chosen.run.cycles, chosen.run.beats / chosen.run.cycles)
    assert found["utilization"] < 1
    assert found["images_per_s"] == pytest.approx(60e6 / found["cycles"], abs=0.006)
    assert found["stream_bytes"] == chosen.run.words * chosen.spec.model_bits // 8
    assert (found["array_lut_eq"], found["array_dsp"], found["sdram_fmax_mhz"]) == (640, 8, 105.0)


def test_the_array_is_found_by_its_name():
    assert array_area([{"module": "system.accelerator.core"}, ARRAY]) is ARRAY
    with pytest.raises(ValueError, match="values to unpack"):
        array_area([{"module": "system"}])


def test_table_and_plot():
    spec = {"rows": 4, "cols": 4, "depth": 8, "w_bits": 4, "a_bits": 4}
    record = {"config": "deit_tiny", "w_bits": 4, "a_bits": 8, "spec": spec, "macs_per_cycle": 128, "cycles": 2_000_000,
              "utilization": 0.875, "stream_bytes": 3_320_000, "fmax_mhz": 46.04, "sdram_fmax_mhz": 101.0,
              "images_per_s": 23.02, "lut_eq": 20000, "ff": 18000, "dsp": 80, "bram": 190, "array_lut_eq": 640,
              "array_dsp": 64}
    row = STUDY.table([record]).splitlines()[-1]
    assert [cell.strip() for cell in row.strip("|").split("|")] == [
        "W4A8", "W4A4", "4×4×8", "128", "2,000,000", "88%", "3.32", "46.0", "101.0", "23.0", "20,000", "80", "190",
        "5.0", "0.50"]
    assert b"images per second" in svg(STUDY, [record]).encode()
