import pytest
import torch
from vitric.golden.integer.code_table import log2_values, nearest_table, twin_uniform_values


def test_values_by_hand():
    assert log2_values(3) == (0, 2, 4, 8, 16, 32, 64, 128)
    assert log2_values(4) == (0, 1, 2, 4, 8, 16, 32, 64, 128)  # of 16 codes, those that 8 bits can tell apart
    assert log2_values(2) == (0, 32, 64, 128)
    assert twin_uniform_values(3, 2) == (0, 1, 2, 3, 4, 8, 12)
    assert twin_uniform_values(4, 5) == (*range(8), 32, 64, 96, 128, 160, 192, 224)


@pytest.mark.parametrize("values", [log2_values(3), log2_values(4), twin_uniform_values(4, 4), (0,), (3, 255)])
def test_every_code_becomes_the_nearest_value(values):
    table = nearest_table(values)
    for code, value in enumerate(table.tolist()):
        distance = [abs(code - other) for other in values]
        assert value == max(other for other, d in zip(values, distance, strict=True) if d == min(distance))
    assert table.dtype == torch.int64 and table.shape == (256,)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: nearest_table(()), "values must hold"), (lambda: nearest_table((0, 256)), "values must be"),
    (lambda: nearest_table((4, 0)), "values must ascend"), (lambda: nearest_table((0,), 9), "bits must be"),
    (lambda: log2_values(1), "code_bits must be"), (lambda: twin_uniform_values(4, 0), "shift must be"),
    (lambda: twin_uniform_values(4, 6), "shift must be between 1 and 5, not 6"),
])
def test_rejected(call, message):
    with pytest.raises(ValueError, match=message):
        call()
