import pytest
from vitric.sim.mutants import hunt, plant
from vitric.sim.netlist import ecp5_netlist
from vitric.sim.units import SMALL_UNITS

CELLS = {  # what makes the netlist worth running: the cells that the unit or Yosys chose
    "requantize": {"MULT18X18D", "CCU2C", "TRELLIS_FF"}, "gelu": {"TRELLIS_DPR16X4", "TRELLIS_FF"},
    "softmax": {"CCU2C", "LUT4", "TRELLIS_FF"}, "layernorm": {"MULT18X18D", "CCU2C", "LUT4", "TRELLIS_FF"},
    "layernorm_fabric": {"MULT18X18D", "CCU2C", "LUT4", "TRELLIS_FF"},
}
TESTS = "source=random/sink=random|source=always/sink=rare|corners|sums"
FAULTS = 20


@pytest.mark.parametrize("name", CELLS)
def test_synthesized_unit_gives_the_same_values(name, tmp_path):
    unit = SMALL_UNITS[name]
    netlist, cells = ecp5_netlist(unit, tmp_path)
    assert CELLS[name] <= set(cells)
    # One simulator for the netlist as it is, which must pass, and for those that have one bit wrong.
    faulty, faults = plant(netlist, tmp_path / "faulty", count=FAULTS, seed=1)
    assert len(faults) == FAULTS
    assert len(hunt(unit, faulty, FAULTS, tmp_path / "sim", tests=TESTS)) >= FAULTS // 2
