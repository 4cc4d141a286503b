import pytest
from vitric.golden.spec.flash import FlashSpec
from vitric.sim.chips import flash_model
from vitric.sim.flash import FlashOnChip
from vitric.sim.parameters import environment
from vitric.sim.runner import run_bench


@pytest.mark.parametrize(("half", "lanes"), [(1, 4), (2, 4), (2, 1)])
def test_flash_is_read(half, lanes, tmp_path):
    spec = FlashSpec(clock_hz=half * 50_000_000, max_hz=25_000_000, lanes=lanes, size=1 << 16, slots=(0,))
    assert spec.half == half
    result = run_bench(FlashOnChip(spec), test_module="vitric.sim.benches.flash", build_dir=tmp_path,
                       extra_sources=[flash_model()], extra_env=environment(spec))
    assert len(result.tests) == 27
