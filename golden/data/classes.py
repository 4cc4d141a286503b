"""Which class of a model a folder of images is: by the labels of the checkpoint, or by the order of the names."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..spec.check import check_choice

__all__ = ["ClassOrder", "ORDERS", "natural_order"]

ORDERS = ("checkpoint", "natural", "lexical")
"""By the checkpoint's labels; 0, 1, 2, 10 without regard to case, as timm sorts; 0, 1, 10, 2, as torchvision sorts."""

_LISTED = 8  # folders that a message names


def natural_order(names: Sequence[str]) -> list[str]:
    """Return the names sorted as timm does: digits count as numbers, and case does not count."""
    def key(name: str) -> tuple:
        return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name.lower())], name

    return sorted(names, key=key)


def _unique(texts: Iterable[tuple[int, str]]) -> dict[str, int]:
    """Return the class by text, in lower case, without texts that stand for more than one (ImageNet has two cranes)."""
    found = defaultdict(set)
    for number, text in texts:
        found[text.strip().lower()].add(number)
    return {text: numbers.pop() for text, numbers in found.items() if len(numbers) == 1}


def _matches(folders: Sequence[str], labels: Sequence[str]) -> list[int | None]:
    """Return the class that each folder names by its label, its number, or a word of its label between commas.

    Numbers count only where no label is a number itself.
    """
    whole = _unique(enumerate(labels))
    words = _unique((number, word) for number, label in enumerate(labels) for word in label.split(","))
    numbered = not any(label.isdecimal() for label in labels)

    def match(folder: str) -> int | None:
        if numbered and folder.isdecimal() and int(folder) < len(labels):
            return int(folder)
        return whole.get(folder, words.get(folder))

    return [match(folder.lower()) for folder in folders]


@dataclass(frozen=True, kw_only=True)
class ClassOrder:
    """What class folders are numbered by.

    Parameters
    ----------
    order
        One of :data:`ORDERS`; by default ``"checkpoint"`` if every folder has a label there, else ``usual``.
    usual
        ``"natural"`` or ``"lexical"``.
    labels
        Names of the checkpoint's classes, by number, where it has them.
    """

    order: str | None = None
    usual: str = "lexical"
    labels: tuple[str, ...] | None = None

    def __post_init__(self):
        check_choice("class order", self.usual, ORDERS[1:])
        if self.order is not None:
            check_choice("class order", self.order, ORDERS)
        if self.order == ORDERS[0] and self.labels is None:
            raise ValueError(f"class order must be one of {', '.join(ORDERS[1:])}, not checkpoint: it has no labels")

    def number(self, folders: Sequence[str]) -> tuple[str, list[int]]:
        """Return the order that was used, and the class of each folder.

        A folder is matched to a label by the label itself, by its number, or by one of its words between commas,
        without regard to case.

        Raises
        ------
        ValueError
            The order is ``"checkpoint"``, and a folder has no label; or two folders have one.
        """
        if self.labels is not None and self.order in (None, ORDERS[0]):
            numbers = _matches(folders, self.labels)
            unknown = [name for name, number in zip(folders, numbers, strict=True) if number is None]
            if unknown and self.order is not None:
                raise ValueError(f"the checkpoint's labels must name every class folder, not all but "
                                 f"{', '.join(unknown[:_LISTED])}; they are {', '.join(self.labels[:_LISTED])} …")
            if not unknown:
                return ORDERS[0], _distinct(folders, numbers)
        order = self.order or self.usual
        places = {name: number for number, name in enumerate(
            natural_order(folders) if order == "natural" else sorted(folders))}
        return order, [places[name] for name in folders]


def _distinct(folders: Sequence[str], numbers: list[int]) -> list[int]:
    for name, number in zip(folders, numbers, strict=True):
        if folders[numbers.index(number)] != name:
            raise ValueError(f"class folders must be different classes of the checkpoint, not {name} and "
                             f"{folders[numbers.index(number)]} both class {number}")
    return numbers
