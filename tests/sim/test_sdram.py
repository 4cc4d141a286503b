# amaranth: UnusedElaboratable=no
import pytest
from vitric.golden.spec.sdram import SdramSpec
from vitric.sim.sdram import ControllerOnChip, chip_parameters

SPEC = SdramSpec(clock_hz=133_333_333, row_bits=3, t_rp=20.5)


def test_parameters_are_those_of_the_spec():
    found = chip_parameters(SPEC)
    assert (found["ROW_BITS"], found["COLUMN_BITS"], found["CAS_LATENCY"]) == (3, 9, 3)
    assert (found["T_RP"], found["T_REFI"], found["T_POWER_UP"]) == (20_500, 7_812_500, 200_000_000)


def test_no_registers_at_the_pins():
    with pytest.raises(ValueError, match="capture_cycles must be 0, not 2"):
        ControllerOnChip(SPEC)
