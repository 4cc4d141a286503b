import pytest
from vitric.golden.spec.flash import FlashSpec


@pytest.mark.parametrize(("clock_hz", "max_hz", "half"), [
    (50_000_000, 25_000_000, 1), (50_000_001, 25_000_000, 2), (85_000_000, 25_000_000, 2), (100_000_000, 25_000_000, 2),
    (10_000_000, 25_000_000, 1), (133_000_000, 50_000_000, 2)])
def test_clock(clock_hz, max_hz, half):
    spec = FlashSpec(clock_hz=clock_hz, max_hz=max_hz)
    assert spec.half == half and clock_hz / (2 * spec.half) <= max_hz


def test_slots():
    spec = FlashSpec(clock_hz=50_000_000)
    assert spec.slot_bytes == 6 << 20 and spec.wake_cycles == 2500
    assert FlashSpec(clock_hz=10**6, size=1 << 18, slots=(0, 1 << 16)).slot_bytes == 1 << 16
    assert FlashSpec(clock_hz=10**6, size=1 << 18, slots=(3 << 16,)).slot_bytes == 1 << 16


@pytest.mark.parametrize(("changes", "message"), [
    ({"size": 1 << 15}, "size must be between 65536 and 16777216, not 32768"),
    ({"size": 100_000}, "size must be a power of two between 65536 and 16777216, not 100000"),
    ({"lanes": 2}, "lanes must be one of 1, 4, not 2"),
    ({"max_hz": 51_000_000}, "max_hz must be between 1000000 and 50000000, not 51000000"),
    ({"slots": ()}, r"slots must be one or more rising addresses, not \(\)"),
    ({"slots": (1 << 17, 1 << 16)}, "slots must be one or more rising addresses"),
    ({"slots": (1 << 24,)}, "address of a slot must be between 0 and 16777215, not 16777216"),
    ({"slots": (256,)}, "address of a slot must be a multiple of 65536, not 256"),
])
def test_what_cannot_be(changes, message):
    with pytest.raises(ValueError, match=message):
        FlashSpec(clock_hz=50_000_000, **changes)
