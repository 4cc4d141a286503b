import pytest
from vitric.hdl.units import UNITS
from vitric.sim.mutants import hunt, plant
from vitric.sim.netlist import ecp5_netlist

pytestmark = pytest.mark.long

CELLS = {  # what makes the netlist worth running: the cells that the unit or Yosys chose
    "mac": {"CCU2C", "LUT4", "TRELLIS_FF"},
    "requantize": {"MULT18X18D", "CCU2C", "TRELLIS_FF"}, "gelu": {"TRELLIS_DPR16X4", "TRELLIS_FF"},
    "softmax": {"CCU2C", "LUT4", "TRELLIS_FF"}, "softmax_columns": {"CCU2C", "LUT4", "TRELLIS_FF"},
    "layernorm": {"MULT18X18D", "CCU2C", "LUT4", "TRELLIS_FF"},
    "layernorm_fabric": {"MULT18X18D", "CCU2C", "LUT4", "TRELLIS_FF"},
}
TESTS = "source=random/sink=random|source=always/sink=rare|corners|sums"
FAULTS = 20


@pytest.mark.parametrize(("unit", "name"), [(unit, name) for unit in UNITS.values() for name in unit.small],
                         ids=lambda value: value if isinstance(value, str) else "")
def test_synthesized_unit_gives_the_same_values(unit, name, tmp_path):
    settings = unit.small[name]
    netlist, cells = ecp5_netlist(unit, settings, tmp_path)
    assert CELLS[name] <= set(cells)
    # One simulator for the netlist as it is, which must pass, and for those that have one bit wrong.
    faulty, faults = plant(netlist, tmp_path / "faulty", count=FAULTS, seed=1)
    assert len(faults) == FAULTS
    assert len(hunt(unit, settings, faulty, range(1, FAULTS + 1), tmp_path / "sim", tests=TESTS)) >= FAULTS // 2
