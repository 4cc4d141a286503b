import pytest
from vitric.golden.spec.sdram_pins import PinTiming


def test_margins_by_hand():
    """At 100 MHz and 270 degrees, each sum written out."""
    found = PinTiming().margins(100e6, 270)
    assert found.read_setup == pytest.approx(20 - (7.5 + 3.316 + 0.3 + 5.4 + 1.065 + 0.439) - 0.3)
    assert found.read_hold == pytest.approx(7.5 + 10 + 0.5 * (3.316 + 1.065) + 0.3 + 2.5 - 20 - 0.311 - 0.3)
    assert found.write_setup == pytest.approx(7.5 - 0.215 - 1.5 - 0.3)
    assert found.write_hold == pytest.approx(2.5 + 0.5 * 0.215 - 0.8 - 0.3)
    assert found.least == pytest.approx(found.write_hold)


@pytest.mark.parametrize("mhz", [25, 40, 50, 66.667, 75, 90, 100, 110, 120, 125, 133.333, 142.857])
def test_window_is_open_from_25_to_143_mhz(mhz):
    timing = PinTiming()
    phase = timing.phase(mhz * 1e6, steps=48)
    assert timing.margins(mhz * 1e6, phase).least > 0


def test_phase_is_the_best():
    timing = PinTiming()
    best = timing.margins(133e6, timing.phase(133e6, steps=40)).least
    assert best == max(timing.margins(133e6, 9 * k).least for k in range(40))


def test_other_capture_edge_does_not_fit():
    timing = PinTiming()
    assert all(timing.margins(133e6, phase, capture_cycles=1).least < 0 for phase in range(360))
