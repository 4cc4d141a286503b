"""Numbers of class folders: by labels of the checkpoint, in natural and in lexical order."""

import pytest
from vitric.golden.data.classes import ClassOrder, natural_order

NUMBERS = tuple(sorted(str(number) for number in range(12)))  # as a folder lists them: 0, 1, 10, 11, 2
IMAGENET = ("tench, Tinca tinca", "goldfish, Carassius auratus", "crane", "crane", "drake, crane")


def test_natural_order():
    assert natural_order(NUMBERS) == [str(number) for number in range(12)]
    assert natural_order(["b2", "B10", "a", "b02", "²"]) == ["a", "b02", "b2", "B10", "²"]


def test_orders_of_names():
    assert ClassOrder().number(NUMBERS) == ("lexical", list(range(12)))
    for order in (ClassOrder(order="natural"), ClassOrder(usual="natural")):
        assert order.number(NUMBERS) == ("natural", [int(name) for name in NUMBERS])
    assert ClassOrder(order="lexical", usual="natural").number(NUMBERS)[0] == "lexical"


def test_labels_number_the_folders():
    order = ClassOrder(labels=("dog", "Cat", "eel"))
    assert order.number(["cat", "dog", "eel"]) == ("checkpoint", [1, 0, 2])
    assert order.number(["0", "1", "02"]) == ("checkpoint", [0, 1, 2])
    assert ClassOrder(labels=("2", "0", "1")).number(["0", "1", "2"]) == ("checkpoint", [1, 2, 0])  # the label counts
    assert ClassOrder(labels=("10", "20", "30")).number(["0", "1", "2"])[0] == "lexical"  # numbers of something else
    assert ClassOrder(labels=IMAGENET).number(["Tinca tinca", "goldfish", "drake"]) == ("checkpoint", [0, 1, 4])
    assert ClassOrder(labels=("b", "a"), order="lexical").number(["a", "b"]) == ("lexical", [0, 1])


def test_labels_that_do_not_name_every_folder():
    labels = ("dog", "cat", "eel")
    assert ClassOrder(labels=labels).number(["cat", "dog", "owl"]) == ("lexical", [0, 1, 2])
    with pytest.raises(ValueError, match="must name every class folder, not all but owl, 3; they are dog, cat, eel"):
        ClassOrder(labels=labels, order="checkpoint").number(["cat", "owl", "3"])
    with pytest.raises(ValueError, match="not all but crane;"):  # which one?
        ClassOrder(labels=IMAGENET, order="checkpoint").number(["crane", "goldfish"])
    with pytest.raises(ValueError, match="must be different classes of the checkpoint, not 0 and dog both class 0"):
        ClassOrder(labels=labels).number(["dog", "0"])


def test_illegal_orders():
    with pytest.raises(ValueError, match="class order must be one of 'checkpoint', 'natural', 'lexical', not 'sorted'"):
        ClassOrder(order="sorted")
    with pytest.raises(ValueError, match="must be one of natural, lexical, not checkpoint: it has no labels"):
        ClassOrder(order="checkpoint")
