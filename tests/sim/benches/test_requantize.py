from dataclasses import replace

import pytest
from vitric.golden.spec.requantize import RequantizeSpec
from vitric.hdl.activation.requantize import Requantize
from vitric.sim.cells import cell_model
from vitric.sim.parameters import environment
from vitric.sim.runner import BenchFailure, run_bench

from tests.sim.cell_models import with_ice40_models

MODELS = {
    "ecp5": [cell_model(name) for name in ("mult18x18d", "ccu2c")],
    "gowin": [cell_model("gowin_multipliers")],
}
PORTS = ["clk", "rst", *(f"{stream}__{part}" for stream in "io" for part in ("payload", "valid", "ready"))]


def bench(spec, folder, *, fabric="generic", tag_bits=6, told=None, **options):
    unit = Requantize(spec, tag_bits=tag_bits, fabric=fabric)
    if fabric == "ice40":
        options["public"] = PORTS
        unit = with_ice40_models(unit, folder)
    return run_bench(
        unit, test_module="vitric.sim.benches.requantize", build_dir=folder, extra_sources=MODELS.get(fabric, []),
        extra_env=environment(told or spec, tag_bits=tag_bits), **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("requantize")


def test_default(folder):
    assert len(bench(RequantizeSpec(lanes=4, acc_bits=24), folder).tests) == 28


def test_bench_can_fail(folder):
    spec = RequantizeSpec(lanes=4, acc_bits=24)
    with pytest.raises(BenchFailure) as caught:
        bench(spec, folder, told=replace(spec, shifts=(8, 13, 18, 24)), test_filter="source=random/sink=random")
    assert len(caught.value.failed) == 1


def test_ecp5_cells(tmp_path):
    spec = RequantizeSpec(lanes=2, acc_bits=40, bias_bits=20, shifts=(9, 30), out_bits=8)
    assert len(bench(spec, tmp_path, fabric="ecp5").tests) == 28


def test_gowin_multipliers(tmp_path):
    spec = RequantizeSpec(lanes=2, acc_bits=24, bias_bits=20, shifts=(9, 30), out_bits=8)
    assert len(bench(spec, tmp_path, fabric="gowin").tests) == 28


def test_ice40_multipliers(tmp_path):
    spec = RequantizeSpec(lanes=1, acc_bits=24, bias_bits=20, shifts=(9, 30), out_bits=8)  # 18 x 16 and 7 x 16 bits
    assert len(bench(spec, tmp_path, fabric="ice40").tests) == 28


def test_power_of_two(tmp_path):
    spec = RequantizeSpec(lanes=3, acc_bits=20, bias_bits=18, multiplier_bits=0, shifts=(0, 2, 5, 11), out_bits=6)
    assert len(bench(spec, tmp_path, tag_bits=0).tests) == 28
