import pytest
from vitric.golden.spec.layernorm import LayerNormSpec
from vitric.hdl.layernorm.unit import LayerNorm
from vitric.sim.cells import cell_model
from vitric.sim.parameters import environment
from vitric.sim.runner import BenchFailure, run_bench

from tests.sim.cell_models import with_ice40_models

CELLS = [cell_model(name) for name in ("mult18x18d", "ccu2c")]
TESTS = 27


def bench(spec, folder, dut=None, **options):
    return run_bench(
        dut or LayerNorm(spec), test_module="vitric.sim.benches.layernorm", build_dir=folder,
        extra_env=environment(spec), **options)


def test_layernorm(tmp_path):
    spec = LayerNormSpec(lanes=3, max_length=50)
    assert len(bench(spec, tmp_path).tests) == TESTS


def test_layernorm_on_hard_multipliers(tmp_path):
    spec = LayerNormSpec(lanes=2, max_length=40, in_bits=12, out_bits=4, gamma_fraction=9)
    result = bench(spec, tmp_path, LayerNorm(spec, fabric="ecp5"), extra_sources=CELLS)
    assert len(result.tests) == TESTS


def test_layernorm_on_multipliers_of_16_bits(tmp_path):
    spec = LayerNormSpec(lanes=1, max_length=40)
    unit = LayerNorm(spec, fabric="ice40")
    ports = ["clk", "rst", *("__".join(map(str, path)) for path, _, _ in unit.signature.flatten(unit))]
    assert len(bench(spec, tmp_path, with_ice40_models(unit, tmp_path), public=ports).tests) == TESTS


class WrongInput(LayerNorm):
    """Lane 0 takes the beat that enters instead of the one from the buffer."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += m.submodules.lane_0.x.eq(self.i.p.x[0])
        return m


def test_bench_can_fail(tmp_path):
    spec = LayerNormSpec(lanes=2, max_length=40)
    with pytest.raises(BenchFailure) as caught:
        bench(spec, tmp_path, WrongInput(spec), test_filter="source=always/sink=always")
    assert len(caught.value.failed) == 1
