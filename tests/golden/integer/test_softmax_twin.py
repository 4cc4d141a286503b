import pytest
import torch
from vitric.golden.integer.softmax import dequantize, softmax
from vitric.golden.spec.softmax import SoftmaxSpec


@pytest.mark.parametrize(("kind", "twin_shift", "error"), [
    ("twin_uniform", None, TypeError), ("twin_uniform", 0, ValueError), ("twin_uniform", 13, ValueError),
    ("uniform", 3, ValueError), ("log2", 3, ValueError),
])
def test_rejected_twin_shift(kind, twin_shift, error):
    with pytest.raises(error, match="twin_shift"):
        SoftmaxSpec(lanes=8, max_length=256, kind=kind, twin_shift=twin_shift)


@pytest.mark.parametrize(("out_bits", "twin_shift"), [(2, 1), (3, 1), (4, 1), (4, 3), (4, 6), (6, 2), (8, 7), (4, 12)])
def test_twin_uniform_table(out_bits, twin_shift):
    spec = SoftmaxSpec(
        lanes=1, max_length=2, out_bits=out_bits, frac_bits=4, kind="twin_uniform", twin_shift=twin_shift)
    fine = 1 << out_bits - 1
    assert spec.code_values == (*range(fine), *(step << twin_shift for step in range(fine)))  # PTQ4ViT: two step sizes
    values = torch.tensor(spec.code_values, dtype=torch.float64)
    for u, code in enumerate(spec.code_table):
        p = 2 ** (u / 16)
        assert abs(spec.code_values[code] - p) == (values - p).abs().min()
        assert code < fine or spec.code_values[code] >= fine  # the fine range wherever it has the value
    assert 2 ** (len(spec.code_table) / 16) > spec.code_values[-1]


def test_twin_uniform_by_hand():
    spec = SoftmaxSpec(lanes=1, max_length=8, out_bits=4, kind="twin_uniform", twin_shift=4)
    x = torch.tensor([0, -1, -2, -3, -4, -5, -5]) * 256  # halves, quarters, ... of the row
    codes = softmax(x, spec, offset=7 * 256)  # 64, 32, 16, 8, 4, 2, 2 steps of 1/128
    assert codes.tolist() == [8 + 4, 8 + 2, 8 + 1, 7, 4, 2, 2]
    assert (dequantize(codes, spec, offset=7 * 256) * 128).tolist() == [64, 32, 16, 7, 4, 2, 2]
    assert softmax(x[:1], spec, offset=7 * 256).tolist() == [15]  # 128 steps saturate at 7 * 16
