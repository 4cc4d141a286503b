"""Accuracy: ranks with ties, several models at once, batches and counts."""

import pytest
import torch
from vitric.golden.data.images import ImageData
from vitric.golden.evaluation import SignalToNoise, evaluate, ranks

DATA = ImageData("test", torch.arange(7, dtype=torch.uint8).reshape(7, 1, 1, 1), torch.tensor([0, 1, 2, 0, 1, 2, 0]))


def test_ranks_by_hand():
    logits = torch.tensor([[3, 2, 1], [3, 2, 1], [1, 1, 1], [1, 1, 1], [0, 5, 5]])
    labels = torch.tensor([0, 2, 0, 2, 2])
    assert ranks(logits, labels).tolist() == [0, 2, 0, 2, 1]  # of equal logits the first class wins
    for row, label, rank in zip(logits, labels.tolist(), ranks(logits, labels).tolist(), strict=True):
        assert (int(row.argmax()) == label) == (rank == 0)


def test_models_share_the_images():
    seen, told = [], []

    def first(images):
        seen.append(len(images))
        return torch.tensor([[3, 2, 1]]).expand(len(images), -1)

    result = evaluate({"first": first, "last": lambda images: torch.tensor([[1, 2, 3]]).expand(len(images), -1)}, DATA,
                      batch=3, on_images=told.append)
    assert seen == told == [3, 3, 1] and result.images == 7
    assert [result.accuracy("first", top) for top in (1, 2, 3)] == [3 / 7, 5 / 7, 1.0]
    assert [result.accuracy("last", top) for top in (1, 2, 3)] == [2 / 7, 4 / 7, 1.0]
    assert evaluate({"first": first}, DATA, count=4).images == 4


def test_decibels_by_hand():
    ratio = SignalToNoise().add(torch.tensor([3.0, 4.0]), torch.tensor([0.5, 0.5]))
    assert (ratio.signal, ratio.noise) == (25, 0.5) and ratio.db == pytest.approx(16.9897, abs=1e-4)
    assert ratio.add(torch.tensor([5.0]), torch.zeros(1)).db == pytest.approx(20)
    assert -3010 <= SignalToNoise().add(torch.zeros(2), torch.ones(2)).db < -2900
    assert 2900 < SignalToNoise().add(torch.ones(2), torch.zeros(2)).db <= 3010


def test_labels_without_a_logit():
    with pytest.raises(ValueError, match="the data have the label 2, the model has the classes 0 to 1"):
        evaluate({"small": lambda images: torch.zeros(len(images), 2)}, DATA)
    with pytest.raises(ValueError, match="number of images must be between 1 and 7, not 0"):
        evaluate({"any": lambda images: torch.zeros(len(images), 3)}, DATA, count=0)
