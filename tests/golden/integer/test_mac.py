import pytest
import torch
from vitric.golden.arith import nearest_signed_code, split_signed, split_unsigned
from vitric.golden.integer.mac import mac_array
from vitric.golden.spec.mac import MacArraySpec


def spec(**changes):
    return MacArraySpec(**({"rows": 2, "cols": 3, "depth": 4, "a_bits": 4, "w_bits": 4} | changes))


def flags(*values):
    return torch.tensor(values)


def test_by_hand():
    one = spec(rows=1, cols=1, depth=2)
    a = torch.tensor([[[3, 15]], [[1, 2]], [[4, 0]]])
    w = torch.tensor([[[-7, 7]], [[5, -1]], [[2, 1]]])
    # dots: -21 + 105 = 84; 5 - 2 = 3; 8
    every = mac_array(one, a, w, flags(1, 0, 0), flags(1, 1, 1))
    assert every.flatten().tolist() == [84, 87, 95]
    horner = mac_array(one, a, w, flags(1, 0, 0), flags(0, 0, 1), flags(0, 1, 1))
    assert horner.flatten().tolist() == [(84 * 16 + 3) * 16 + 8]
    restarted = mac_array(one, a, w, flags(1, 0, 1), flags(0, 1, 1), flags(0, 0, 1))
    assert restarted.flatten().tolist() == [87, 8]
    assert mac_array(one, a, w, flags(1, 0, 0), flags(0, 0, 0)).shape == (0, 1, 1)


def chunks(matrix, depth):
    """Cut (rows, K) into K / depth beats of (rows, depth)."""
    return matrix.reshape(matrix.shape[0], -1, depth).transpose(0, 1)


def test_long_product_is_a_matmul():
    torch.manual_seed(1)
    array = spec(max_terms=1 << 24)
    a, w = torch.randint(0, 16, (2, 4000)), torch.randint(-7, 8, (3, 4000))
    beats = torch.arange(1000)
    out = mac_array(array, chunks(a, 4), chunks(w, 4), (beats == 0).long(), (beats == 999).long())
    assert out.dtype == torch.int64 and torch.equal(out[0], a @ w.T)


def test_four_passes_multiply_8_by_8_bits():
    torch.manual_seed(2)
    array = spec(depth=5, max_terms=1 << 16)
    a = torch.randint(0, 256, (2, 20))
    w = nearest_signed_code(torch.randint(-119, 120, (3, 20)), 4, 2)
    low_a, high_a = split_unsigned(a, 4, 2)
    low_w, high_w = split_signed(w, 4, 2)
    passes = [(high_a, high_w, 0), (high_a, low_w, 1), (low_a, high_w, 0), (low_a, low_w, 1)]
    beats = torch.arange(16)
    out = mac_array(
        array, torch.cat([chunks(x, 5) for x, _, _ in passes]), torch.cat([chunks(y, 5) for _, y, _ in passes]),
        (beats == 0).long(), (beats == 15).long(),
        torch.tensor([shift if n == 0 else 0 for _, _, shift in passes for n in range(4)]),
    )
    assert torch.equal(out[0], a @ w.T)


def test_extremes_fill_the_widths():
    array = spec(rows=1, cols=2, depth=16, max_terms=48)
    a = torch.full((3, 1, 16), 15)
    w = torch.tensor([7, -7]).reshape(1, 2, 1).expand(3, 2, 16).clone()
    bound = 48 * 15 * 7
    assert array.acc_bits == bound.bit_length() + 1
    assert mac_array(array, a, w, flags(1, 0, 0), flags(0, 0, 1)).tolist() == [[[bound, -bound]]]
    with pytest.raises(OverflowError, match="acc holds values"):
        mac_array(array, a, w, flags(1, 0, 0), flags(0, 0, 1), flags(0, 1, 1))


BEAT = {
    "a": torch.ones(1, 2, 4, dtype=torch.int64), "w": torch.ones(1, 3, 4, dtype=torch.int64),
    "first": torch.tensor([1]), "last": torch.tensor([1]),
}


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"a": BEAT["a"] * 16}, OverflowError, "a holds values 16..16"),
        ({"a": -BEAT["a"]}, OverflowError, "a holds values -1..-1"),
        ({"w": BEAT["w"] * 8}, OverflowError, "w holds values 8..8"),
        ({"w": BEAT["w"] * -8}, ValueError, r"w must lie between -7 and 7 \(narrow range\), not -8"),
        ({"a": BEAT["a"].float()}, TypeError, "a must be an int32 or int64 tensor"),
        ({"shift": torch.tensor([0.0])}, TypeError, "shift must be an int32 or int64 tensor"),
        ({"shift": torch.tensor([2])}, ValueError, "shift must lie between 0 and 1"),
        ({"first": torch.tensor([2])}, ValueError, "first must lie between 0 and 1"),
        ({"first": torch.tensor([0])}, ValueError, "the first beat must begin an accumulation"),
        ({"last": torch.tensor([-1])}, ValueError, "last must lie between 0 and 1"),
        ({"last": torch.tensor([1, 1])}, ValueError, r"last must have shape \(1,\), not \(2,\)"),
        ({"a": BEAT["a"][:, :1]}, ValueError, r"a must have shape \(1, 2, 4\), not \(1, 1, 4\)"),
        ({"w": BEAT["w"][:, :, :3]}, ValueError, r"w must have shape \(1, 3, 4\), not \(1, 3, 3\)"),
    ],
)
def test_bad_beats(changes, error, message):
    with pytest.raises(error, match=message):
        mac_array(spec(), **(BEAT | changes))


def test_derived_widths():
    array = spec(rows=4, cols=4, depth=16, max_terms=79891)
    assert (array.dot_bits, array.acc_bits, array.macs_per_cycle) == (12, 24, 256)
    assert (array.tree_levels, array.latency, array.interval) == (7, 9, 1)
    assert spec(max_terms=79892).acc_bits == 25
    assert spec(depth=64, max_terms=1).acc_bits == spec(depth=64).dot_bits == 14
    assert spec(acc_bits=30).acc_bits == 30


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"rows": 0}, ValueError, "rows must be between 1 and 64, not 0"),
        ({"cols": 65}, ValueError, "cols must be between 1 and 64, not 65"),
        ({"depth": 257}, ValueError, "depth must be between 1 and 256, not 257"),
        ({"a_bits": 1}, ValueError, "a_bits must be between 2 and 8, not 1"),
        ({"w_bits": 9}, ValueError, "w_bits must be between 2 and 8, not 9"),
        ({"w_bits": 4.0}, TypeError, "w_bits must be an integer"),
        ({"max_terms": 0}, ValueError, "max_terms must be between 1 and"),
        ({"acc_bits": 9}, ValueError, "acc_bits must be between 10 and 48, not 9"),
        ({"shifts": ()}, TypeError, "shifts must be a tuple"),
        ({"shifts": [0, 4]}, TypeError, "shifts must be a tuple"),
        ({"shifts": (1, 4)}, ValueError, "shifts must ascend from 0"),
        ({"shifts": (0, 4, 4)}, ValueError, "shifts must ascend from 0"),
        ({"shifts": (0, 60)}, ValueError, "shifts must be between 0 and"),
        ({"mapping": "hls"}, ValueError, "mapping must be one of 'auto', 'generic', 'lut', 'dsp', 'mixed', not 'hls'"),
        ({"multipliers": -1}, ValueError, "multipliers must be between 0 and 4096, not -1"),
        ({"multipliers": 4, "mapping": "dsp"}, ValueError, "multipliers must be 0 unless mapping is 'auto', not 4"),
        ({"mapping": "mixed"}, TypeError, "dsp_cols must be an integer"),
        ({"mapping": "mixed", "dsp_cols": 2, "cols": 2}, ValueError, "dsp_cols must be between 1 and 1, not 2"),
        ({"dsp_cols": 1}, ValueError, "dsp_cols must be None unless mapping is 'mixed', not 1"),
    ],
)
def test_bad_parameters(changes, error, message):
    with pytest.raises(error, match=message):
        spec(**changes)
