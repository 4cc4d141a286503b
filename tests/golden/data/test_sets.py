"""Data sets: fixed split, documented pixel codes, and errors that say what is legal."""

import hashlib

import pytest
import torch
from vitric.golden import digits as lazy_digits
from vitric.golden.data.images import check_images
from vitric.golden.data.sets import digits
from vitric.golden.spec.vit import VIT_CONFIGS

CONFIG = VIT_CONFIGS["digits"]
EXPECTED_TEST_SPLIT = "50633b623f555b34bce8d97668d4c8f9904364b6400636df292be7272a829fa9"


def test_split_sizes_shapes_and_types():
    train, test = digits("train"), digits("test")
    assert (len(train), len(test)) == (1437, 360)
    for data in (train, test):
        assert data.images.shape == (len(data), 1, 8, 8) and data.images.dtype == torch.uint8
        assert data.labels.shape == (len(data),) and data.labels.dtype == torch.int64
    assert train[:64].equal(train.images[:64])
    assert lazy_digits is digits


def test_split_is_fixed_stratified_and_disjoint():
    train, test = digits("train"), digits("test")
    counts = torch.bincount(train.labels) + torch.bincount(test.labels)
    assert (torch.bincount(test.labels) - counts * 0.2).abs().max() < 1
    rows = [{bytes(image) for image in data.images.flatten(1).numpy()} for data in (train, test)]
    assert not rows[0] & rows[1]
    digest = hashlib.sha256(test.images.numpy().tobytes() + bytes(test.labels.tolist())).hexdigest()
    assert digest == EXPECTED_TEST_SPLIT, "the test split moved: every published accuracy is void"


def test_pixel_codes_round_half_up():
    # v * 255 / 16 by hand: 1 -> 15.94, 2 -> 31.875, 8 -> 127.5, 15 -> 239.06
    from sklearn.datasets import load_digits

    values = torch.from_numpy(load_digits().images).flatten()
    codes = sorted({int(code) for split in ("train", "test") for code in digits(split).images.unique()})
    assert codes == [0, 16, 32, 48, 64, 80, 96, 112, 128, 143, 159, 175, 191, 207, 223, 239, 255]
    assert sorted(values.unique().int().tolist()) == list(range(17))


def test_unknown_split():
    with pytest.raises(ValueError, match="split must be one of 'train', 'test', not 'valid'"):
        digits("valid")


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_legal_images(dtype):
    images = torch.zeros(2, 1, 8, 8, dtype=dtype)
    images[0, 0, 0, 0] = 255
    check_images(images, CONFIG)


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        ([[0]], TypeError, "not list"),
        (torch.zeros(1, 1, 8, 8), TypeError, r"0\.\.255 of dtype uint8, int16, int32, int64, not float32"),
        (torch.zeros(1, 1, 8, 8, dtype=torch.bool), TypeError, "not bool"),
        (torch.zeros(1, 8, 8, dtype=torch.uint8), ValueError, r"\[count, 1, 8, 8\].*not \[1, 8, 8\]"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), ValueError, r"\[count, 1, 8, 8\].*not \[1, 3, 8, 8\]"),
        (torch.zeros(1, 1, 28, 28, dtype=torch.uint8), ValueError, r"not \[1, 1, 28, 28\]"),
        (torch.zeros(0, 1, 8, 8, dtype=torch.uint8), ValueError, "at least one image"),
        (torch.full((1, 1, 8, 8), 256), ValueError, r"between 0 and 255, not 256\.\.256"),
        (torch.full((1, 1, 8, 8), -1), ValueError, r"not -1\.\.-1"),
    ],
)
def test_illegal_images(images, error, message):
    with pytest.raises(error, match=message):
        check_images(images, CONFIG)
