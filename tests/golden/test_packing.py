import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from vitric.golden.packing import pack, unpack


def test_lane_0_is_least_significant():
    assert pack([1, 2, 3], 4, False) == 0x321
    assert pack([-1, 0, -8], 4, True) == 0x80F
    assert unpack(0x80F, 3, 4, True) == [-1, 0, -8]
    assert unpack(0x80F, 3, 4, False) == [15, 0, 8]


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 3])
def test_every_word_of_small_lanes(bits, signed):
    low = -(1 << bits - 1) if signed else 0
    lanes = range(low, low + (1 << bits))
    words = set()
    for values in itertools.product(lanes, repeat=3):
        word = pack(values, bits, signed)
        assert unpack(word, 3, bits, signed) == list(values)
        words.add(word)
    assert words == set(range(1 << 3 * bits))


@given(st.data(), st.integers(1, 40), st.booleans())
def test_unpack_inverts_pack(data, bits, signed):
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    values = data.draw(st.lists(st.integers(low, high), max_size=20))
    assert unpack(pack(values, bits, signed), len(values), bits, signed) == values


def test_numpy_and_torch_integers():
    assert pack(np.array([1, -1], dtype=np.int8), 4, True) == 0xF1
    assert pack(torch.tensor([1, -1], dtype=torch.int32), 4, True) == 0xF1


@pytest.mark.parametrize(
    ("value", "bits", "signed"),
    [(8, 4, True), (-9, 4, True), (16, 4, False), (-1, 4, False), (2, 1, False), (1, 1, True)],
)
def test_value_outside_lane(value, bits, signed):
    with pytest.raises(OverflowError, match=f"lane 1 is {value}, outside"):
        pack([0, value], bits, signed)


def test_rejected_arguments():
    with pytest.raises(TypeError):
        pack([0.5], 4, True)
    with pytest.raises(ValueError, match="bits must be between"):
        pack([0], 0, True)
    with pytest.raises(ValueError, match="bits must be between"):
        unpack(0, 1, 0, True)
    with pytest.raises(ValueError, match="count must be between"):
        unpack(0, -1, 4, True)
    for word in (-1, 0x100):
        with pytest.raises(OverflowError, match="does not fit 2 lanes of 4 bits"):
            unpack(word, 2, 4, False)
