import pytest
from vitric.golden.spec.flash import FlashSpec
from vitric.sim.chips import flash_model
from vitric.sim.flash import FlashOnChip
from vitric.sim.parameters import environment
from vitric.sim.runner import run_bench


@pytest.mark.parametrize(("clock_hz", "lanes"), [(50_000_000, 4), (85_000_000, 4), (100_000_000, 1)])
def test_flash_is_read(clock_hz, lanes, tmp_path):
    spec = FlashSpec(clock_hz=clock_hz, lanes=lanes, size=1 << 16, slots=(0,))
    result = run_bench(FlashOnChip(spec), test_module="vitric.sim.benches.flash", build_dir=tmp_path,
                       extra_sources=[flash_model()], extra_env=environment(spec))
    assert len(result.tests) == 27
