import pytest
from vitric.golden.spec.sdram import SdramSpec
from vitric.golden.spec.word_rate import WordRate


def test_cycles_at_three_clocks():
    derived = "rcd", "rp", "active", "rfc", "mrd", "write_recovery", "turnaround", "read_latency"
    at = {hz: [getattr(SdramSpec(clock_hz=hz), name) for name in derived]
          for hz in (100_000_000, 133_333_333, 142_857_142)}
    assert at == {
        100_000_000: [3, 3, 5, 7, 2, 5, 8, 5],  # periods of 10, 7.5 and 7 ns
        133_333_333: [3, 3, 6, 10, 2, 5, 8, 5],
        142_857_142: [3, 3, 6, 10, 3, 6, 8, 5],
    }


def test_addresses():
    spec = SdramSpec(clock_hz=100_000_000)
    assert (spec.line_bits, spec.row_lines, spec.address_bits) == (64, 128, 22)
    assert spec.lines * spec.line_bits // 8 == 32 << 20
    assert SdramSpec(clock_hz=100_000_000, column_bits=10, burst=8).lines == 4 << 20


def test_mode_register():
    assert SdramSpec(clock_hz=100_000_000, burst=8).mode == 0b0110011
    assert SdramSpec(clock_hz=100_000_000, burst=2, cas_latency=2).mode == 0b0100001


def test_cycles_keep_the_time_exactly():
    spec = SdramSpec(clock_hz=100_000_000)
    assert [spec.cycles(time) for time in (10, 10.001, 20, 19.999)] == [1, 2, 2, 2]


@pytest.mark.parametrize(("changes", "message"), [
    ({"clock_hz": 9}, "clock_hz must be between"), ({"burst": 1}, "burst must be one of 2, 4, 8"),
    ({"row_bits": 14}, "row_bits must be between 1 and 13"), ({"column_bits": 11}, "column_bits must be between"),
    ({"cas_latency": 4}, "cas_latency must be one of 2, 3"), ({"t_rp": 0}, "t_rp must be positive"),
    ({"capture_cycles": 8}, "capture_cycles must be between"), ({"write_batch": 0}, "write_batch must be between"),
    ({"init_refreshes": 1}, "init_refreshes must be between"), ({"t_refi": 400}, "t_refi must be longer"),
])
def test_rejected(changes, message):
    with pytest.raises(ValueError, match=message):
        SdramSpec(**{"clock_hz": 100_000_000, **changes})


def test_cycles_of_a_line_by_hand():
    spec = SdramSpec(clock_hz=100_000_000, burst=4)
    lost = 3 + 7 + 3  # tRP, tRFC, tRCD in cycles of 10 ns
    assert (spec.rp, spec.rfc, spec.rcd) == (3, 7, 3)
    every = spec.refresh_period
    assert spec.word_rate(50_000_000).word_cycles == pytest.approx(4 * every / (every - lost) / 2)
    assert spec.word_rate(20_000_000).word_cycles == 1  # a slow core takes every line at once
    with pytest.raises(ValueError, match="word_cycles must be at least 1, not 0.9"):
        WordRate(0.9)
