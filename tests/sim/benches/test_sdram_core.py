import pytest
from vitric.golden.spec.sdram import SdramSpec
from vitric.sim.chips import sdram_model
from vitric.sim.parameters import environment
from vitric.sim.runner import run_bench
from vitric.sim.sdram import SdramOnChip


@pytest.mark.parametrize(("clock_hz", "burst"), [(133_333_333, 4), (100_000_000, 8), (142_857_142, 2)])
def test_core_reads_what_it_wrote(clock_hz, burst, tmp_path):
    spec = SdramSpec(clock_hz=clock_hz, burst=burst, row_bits=3, column_bits=6, t_power_up=2000, init_refreshes=2)
    for tests in ("^(?!.*stuck_line)", "stuck_line"):
        run_bench(SdramOnChip(spec), test_module="vitric.sim.benches.sdram_core", build_dir=tmp_path,
                  extra_sources=[sdram_model()], extra_env=environment(spec), test_filter=tests)
