"""Arithmetic intensity held to hand counts and to the textbook case."""

import pytest
from vitric.flow.studies.platform import Platform, bound, platform, platform_names
from vitric.flow.studies.roofline import STUDY, layer_work
from vitric.golden.errors import UserError
from vitric.golden.spec.vit import VIT_CONFIGS, vit_config


def record(**case):
    return STUDY.run(case)


def test_textbook_case_is_exactly_at_the_ridge():
    """1 GFLOP over 0.1 GB on 1 TFLOP/s and 100 GB/s: 10 operations per byte, both sides take 1 ms."""
    assert bound(1e9, 0.1e9, 1e12, 100e9) == "ridge"
    assert bound(1.001e9, 0.1e9, 1e12, 100e9) == "compute"
    assert bound(1e9, 0.1001e9, 1e12, 100e9) == "memory"
    assert bound(1e9, 0.0, 1e12, 100e9) == "compute"


@pytest.mark.parametrize("name", VIT_CONFIGS)
def test_layers_are_the_whole_network(name):
    config = vit_config(name)
    macs = {layer: layer_work(config, layer)[0] for layer in config.products}
    assert sum(count * (1 if layer in ("patch_embed", "head") else config.depth)
               for layer, count in macs.items()) == config.total_macs


def test_deit_tiny_by_hand():
    config = vit_config("deit_tiny")
    assert layer_work(config, "attn.qkv") == (197 * 192 * 576, 192 * 576, 197 * (192 + 576))
    assert layer_work(config, "attn.scores") == (197 * 197 * 192, 0, 2 * 197 * 192 + 3 * 197 * 197)
    assert layer_work(config, "head") == (192 * 1000, 192 * 1000, 192 + 1000)
    half = record(config="deit_tiny", platform="rtx4090", w_bits=16, a_bits=16, batch=1)
    qkv = next(x for x in half["layers"] if x["layer"] == "attn.qkv")
    assert qkv["bytes"] == 2 * (192 * 576 + 197 * 768) and qkv["operations"] == 2 * 197 * 192 * 576
    assert qkv["intensity"] == pytest.approx(83.19, abs=0.01) and qkv["bound"] == "memory"
    assert half["ridge"] == pytest.approx(327.7, abs=0.1)
    mixed = record(config="deit_tiny", platform="rtx4090", w_bits=4, a_bits=8, batch=64)
    assert mixed["peak"] == 660.6e12  # multiplied as INT8, stored as 4 bits
    assert mixed["layers"][1]["bytes"] == 192 * 576 / 2 + 64 * 197 * 768
    assert sum(x["operations"] * x["count"] for x in mixed["layers"]) == 64 * 2 * config.total_macs


def test_weights_alone_cross_the_sdram():
    found = record(config="deit_tiny", platform="ulx3s", w_bits=4, a_bits=4, batch=1)
    layers = {x["layer"]: x for x in found["layers"]}
    assert layers["attn.qkv"]["intensity"] == 2 * 197 / 0.5 and layers["attn.qkv"]["bound"] == "compute"
    assert layers["attn.scores"]["intensity"] is None and layers["attn.scores"]["bound"] == "compute"
    assert layers["head"]["intensity"] == 4 and layers["head"]["bound"] == "memory"
    moving = layers["head"]["bytes"] / 286e6
    rest = sum(x["operations"] * x["count"] for x in found["layers"]) - layers["head"]["operations"]
    assert found["seconds_per_image"] == pytest.approx(moving + rest / 25.6e9)


def test_platform_files():
    assert platform_names() == ("ecp5", "h100", "rtx4090", "ulx3s")
    for name in platform_names():
        found = platform(name)
        assert found.title and len(found.source) > 80 and found.peak(2, 2) == found.peak(4, 4)
    gpu = platform("rtx4090")
    assert (gpu.peak(16, 16), gpu.peak(8, 8), gpu.peak(4, 16)) == (330.3e12, 660.6e12, 330.3e12)
    assert platform("ecp5").peak(16, 16) is None
    assert platform("ulx3s").peak(4, 8) == platform("ulx3s").peak(4, 4) / 2 == 2 * platform("ulx3s").peak(8, 8)


@pytest.mark.parametrize("text,message", [
    ("title = 'x'", "x.toml lacks peaks"),
    ("title =", "x.toml is not a platform file"),
    ("title = 'x'\nsource = 'y'\nbandwidth = -1\nmoves = []\nbatches = [1]\n"
     "peaks = [{ w_bits = 8, a_bits = 8, operations = 1 }]", "bandwidth, batches and at least one peak"),
    ("title = 'x'\nsource = 'y'\nbandwidth = 1\nmoves = ['bits']\nbatches = [1]\n"
     "peaks = [{ w_bits = 8, a_bits = 8, operations = 1 }]", "moves must be among weights, activations, not bits"),
    ("title = 'x'\nsource = 'y'\nwatts = 3\nbandwidth = 1\nmoves = []\nbatches = [1]\n"
     "peaks = [{ w_bits = 8, a_bits = 8, operations = 1 }]", "x.toml is not a platform file: .*watts"),
])
def test_wrong_platform_files(text, message, tmp_path):
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(UserError, match=message):
        platform("x", tmp_path)
    with pytest.raises(UserError, match="cannot read"):
        platform("y", tmp_path)


def test_table_names_bound_and_source():
    platform_case = {"config": "deit_tiny", "platform": "ulx3s", "w_bits": 4, "a_bits": 4, "batch": 1}
    table = STUDY.table([{**platform_case, **record(**platform_case)}])
    cells = [cell.strip() for cell in table.splitlines()[4].split("|")[1:-1]]
    assert cells == ["ulx3s", "W4A4", "1", "89.5", "784", "788", "∞", "∞", "788", "788", "788", "4 M", "10.2"]
    assert "`ulx3s`: ULX3S, weights from SDRAM" in table
    assert isinstance(platform("ulx3s"), Platform)
