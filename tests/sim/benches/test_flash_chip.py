from vitric.sim.benches.flash_chip import BREAKS, PARAMETERS
from vitric.sim.chips import FLASH_RULES, flash_model
from vitric.sim.runner import run_bench


def test_each_rule_of_the_flash_is_kept_and_broken(tmp_path):
    assert set(BREAKS) == set(FLASH_RULES[1:])
    result = run_bench(flash_model(), name="flash_chip", test_module="vitric.sim.benches.flash_chip",
                       build_dir=tmp_path, parameters=PARAMETERS)
    assert len(result.tests) == 2 * len(BREAKS) + 2
