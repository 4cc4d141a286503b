# amaranth: UnusedElaboratable=no
import pytest
from vitric.golden.spec.sdram import SdramSpec
from vitric.hdl.memory import Sdram


@pytest.mark.parametrize("burst", [2, 4, 8])
@pytest.mark.parametrize("clock_hz", [100_000_000, 142_857_142])
def test_queue_has_room_for_all_that_its_level_does_not_show(burst, clock_hz):
    spec = Sdram(SdramSpec(clock_hz=clock_hz, burst=burst)).spec
    assert spec.queue_lines - spec.lines_in_flight >= spec.lines_in_flight >= 4
