from vitric.sim.benches.sdram_chip import BREAKS
from vitric.sim.benches.sdram_commands import PARAMETERS
from vitric.sim.chips import RULES, sdram_model
from vitric.sim.runner import run_bench


def test_each_rule_of_the_sdram_is_kept_and_broken(tmp_path):
    assert set(BREAKS) == set(RULES[1:])
    result = run_bench(sdram_model(), name="sdram_chip", test_module="vitric.sim.benches.sdram_chip",
                       build_dir=tmp_path, parameters=PARAMETERS)
    assert len(result.tests) == len(RULES) - 1 + 3
