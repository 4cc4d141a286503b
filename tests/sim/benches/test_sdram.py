import pytest
from vitric.golden.spec.sdram import SdramSpec
from vitric.sim.chips import sdram_model
from vitric.sim.parameters import environment
from vitric.sim.runner import run_bench
from vitric.sim.sdram import ControllerOnChip

pytestmark = pytest.mark.long

SMALL = {"row_bits": 3, "column_bits": 6, "capture_cycles": 0, "t_power_up": 2000, "init_refreshes": 2}


@pytest.mark.parametrize("settings", [
    {"clock_hz": 133_333_333, "burst": 4, **SMALL}, {"clock_hz": 100_000_000, "burst": 8, **SMALL},
    {"clock_hz": 142_857_142, "burst": 2, **SMALL},
    {"clock_hz": 133_333_333, "capture_cycles": 0},
], ids=["133", "100", "143", "whole"])
def test_every_line_is_right_and_no_rule_is_broken(settings, tmp_path):
    spec = SdramSpec(**settings)
    run_bench(ControllerOnChip(spec), test_module="vitric.sim.benches.sdram", build_dir=tmp_path,
              extra_sources=[sdram_model()], extra_env=environment(spec))
