import pytest
from vitric.flow.page.area import area

from tests.flow.page.kit import found_in, texts

ROWS = [("top.a.b.c", 60, 7), ("top.a.b.d", 30, 0), ("top.e", 10, 3)]
PLAN = {"modules": ["top.a.b.c", "top.a.d", "top.e"], "places": {
    "logic": [[3, 4, 0, 5], [3, 4, 2, 8], [5, 4, 1, 1]], "ff": [[3, 4, 1, 4]], "dsp": [[8, 2, 2, 1]], "bram": []}}
REPORT = {
    "device": "LFE5U-85F", "lut4": 100, "ccu2c": 0, "ff": 10, "dsp": 0, "bram": 0,
    "percent": {"lut4": 1.5, "ccu2c": 0.0, "ff": 0.1, "dsp": 0.0, "bram": 0.0},
    "breakdown": [{"module": name, "lut_eq": lut, "ff": ff, "dsp": 0, "bram": 0} for name, lut, ff in ROWS],
    "critical_path": {"delay_ns": 9.5, "logic_ns": 4.0, "routing_ns": 5.5, "from": "top.a.x", "to": "top.e.y",
                      "nets": ["top.a.x", "top.a.b.c.s", "top.a.b.c.t", "top.e.y"]}}


@pytest.fixture
def parts(tmp_path):
    return area(found_in(tmp_path, **{"ulx3s/report": REPORT})).parts


def test_treemaps_show_each_module_by_its_size(parts):
    luts, flip_flops = (part.model.renderers[0].data_source.data for part in parts if part.kind == "plot")
    for data, at in ((luts, 1), (flip_flops, 2)):
        wanted = {row[0]: row[at] for row in ROWS if row[at]}
        assert dict(zip(data["module"], data["size"], strict=True)) == wanted
        areas = [(r - l) * (t - b) for l, r, b, t in zip(*(data[name] for name in ("left", "right", "bottom", "top")),
                                                         strict=True)]
        assert areas == pytest.approx([wanted[name] * 16 * 7 / sum(wanted.values()) for name in data["module"]])
    where = {name: (x0, x1) for name, x0, x1 in zip(luts["module"], luts["x0"], luts["x1"], strict=True)}
    assert where["top.a.b.c"] == where["top.a.b.d"] != where["top.e"]  # one group, to zoom into


def test_floorplan_shows_the_module_that_has_most_of_a_tile(tmp_path):
    found = found_in(tmp_path, **{"ulx3s/report": REPORT, "ulx3s/work/floorplan": PLAN})
    plot = next(part for part in area(found).parts if part.kind == "plot" and part.title == "Floorplan").model
    tiles, multipliers, blocks = (renderer.data_source.data for renderer in plot.renderers)
    assert list(zip(tiles["x"], tiles["y"], tiles["module"], tiles["cells"], strict=True)) == [
        (3, 4, "top.a", "top.a: 9, top.e: 8"), (5, 4, "top.a", "top.a: 1")]
    assert tiles["colour"][0] == tiles["colour"][1] and tiles["alpha"][0] > tiles["alpha"][1]
    assert list(zip(multipliers["x"], multipliers["y"], multipliers["module"], strict=True)) == [(8, 2, "top.e")]
    assert blocks["x"] == []


def test_the_critical_path_is_told_module_by_module(parts):
    facts = dict(parts[-1].rows)
    assert facts["through"] == "top.a → top.a.b.c → top.e" and facts["critical path"].startswith("9.5 ns, 4.0")


def test_without_a_bitstream_it_says_what_to_run(tmp_path):
    assert texts(area(found_in(tmp_path)))[0][0] == "vitric bitstream --project tiny"
