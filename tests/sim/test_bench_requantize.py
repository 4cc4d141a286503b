import json
from dataclasses import asdict
from pathlib import Path

import pytest
import vitric.sim
from vitric.golden.spec.requantize import RequantizeSpec
from vitric.hdl.activation.requantize import Requantize
from vitric.sim.runner import BenchFailure, run_bench

MULTIPLIER_MODEL = Path(vitric.sim.__path__[0]) / "mult18x18d.v"


def bench(spec, folder, *, mapping="generic", tag_bits=6, told=None, **options):
    sources = [MULTIPLIER_MODEL] if mapping == "ecp5" else []
    environment = {"VITRIC_SPEC": json.dumps(asdict(told or spec)), "VITRIC_TAG_BITS": str(tag_bits)}
    return run_bench(
        Requantize(spec, tag_bits=tag_bits, mapping=mapping), test_module="vitric.sim.bench_requantize",
        build_dir=folder, extra_sources=sources, extra_env=environment, **options)


@pytest.mark.parametrize("mapping", ["generic", "ecp5"])
@pytest.mark.parametrize("spec", [
    RequantizeSpec(lanes=4, acc_bits=24),
    RequantizeSpec(lanes=2, acc_bits=40, bias_bits=20, multiplier_bits=13, shifts=(9, 30), out_bits=8),
], ids=["default", "three parts"])
def test_multiplier(spec, mapping, tmp_path):
    assert len(bench(spec, tmp_path, mapping=mapping).tests) == 26


def test_power_of_two(tmp_path):
    spec = RequantizeSpec(lanes=3, acc_bits=20, bias_bits=18, multiplier_bits=0, shifts=(0, 2, 5, 11), out_bits=6)
    assert len(bench(spec, tmp_path, tag_bits=0).tests) == 26


def test_bench_can_fail(tmp_path):
    spec = RequantizeSpec(lanes=2, acc_bits=12, bias_bits=8, shifts=(3, 9), out_bits=8)
    other = RequantizeSpec(lanes=2, acc_bits=12, bias_bits=8, shifts=(3, 10), out_bits=8)
    with pytest.raises(BenchFailure) as caught:
        bench(spec, tmp_path, told=other, test_filter="corners|source=random/sink=random")
    assert len(caught.value.failed) == 2
