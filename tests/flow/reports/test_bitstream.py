import pytest
from vitric.flow.reports import bitstream


@pytest.mark.parametrize(("cell", "signal"), [
    ("system.accelerator.core.writer.left_TRELLIS_FF_Q_2", "system.accelerator.core.writer.left"),
    ("a.b.weights__payload_TRELLIS_FF_Q_LSR_LUT4_Z", "a.b.weights__payload"), ("memory.0.0", "memory.0.0"),
    ("system.memory.controller.splitter.fsm_state_LUT4_C", "system.memory.controller.splitter.fsm_state"),
])
def test_a_path_ends_at_signals(cell, signal):
    assert bitstream._signal(cell) == signal
