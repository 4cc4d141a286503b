import json

from vitric.golden.spec.sdram import SdramSpec
from vitric.sim.chips import sdram_model
from vitric.sim.parameters import environment
from vitric.sim.runner import run_bench
from vitric.sim.sdram import ControllerOnChip


def test_shares_of_the_bus(tmp_path):
    spec = SdramSpec(clock_hz=133_333_333, capture_cycles=0, t_power_up=2000)
    file = tmp_path / "shares.json"
    run_bench(ControllerOnChip(spec), test_module="vitric.sim.benches.sdram_speed", build_dir=tmp_path / "bench",
              extra_sources=[sdram_model()], extra_env=environment(spec, lines=300, host_gap=500, file=str(file)))
    shares = json.loads(file.read_text())
    assert set(shares) == {"write", "read", "read_and_host", "read_and_writes"}
    assert 0.95 < shares["read"] <= 1 and 0.95 < shares["write"] <= 1  # cycles of a simulation, the same everywhere
    assert shares["read_and_writes"] < shares["read_and_host"] < shares["read"]
