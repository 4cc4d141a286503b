"""How images and their results lie in the image memory of a board: in slots, all of one size."""

from dataclasses import dataclass

from vitric.golden.spec.check import check_int

from .link import RECORD_LAYOUT, layout_bytes

__all__ = ["Slots", "image_words", "record_words"]


def _log2(power: int) -> int:
    return power.bit_length() - 1


def image_words(columns, *, rows: int, model_bits: int):
    """Return the model words of an image of so many columns: an integer, or a value in hardware.

    The widths of a column and of a model word are powers of two.
    """
    column = 8 * rows
    if column > model_bits:
        return columns << _log2(column // model_bits)
    return (columns + model_bits // column - 1) >> _log2(model_bits // column)


def record_words(logits, *, model_bits: int):
    """Return the model words of the result of an image with so many logits: an integer, or a value in hardware."""
    word = model_bits // 8
    return (layout_bytes(RECORD_LAYOUT) + 2 * logits + word - 1) >> _log2(word)


@dataclass(frozen=True, kw_only=True)
class Slots:
    """Slots for images of one size.

    Parameters
    ----------
    columns : int
        Columns of an image, from 1 on.
    rows, model_bits, max_classes : int
        Of the accelerator.
    memory_words : int
        Image memory of the board, in model words.

    Raises
    ------
    TypeError, ValueError
        No image, or a memory without room for one.
    """

    columns: int
    rows: int
    model_bits: int
    max_classes: int
    memory_words: int

    def __post_init__(self):
        check_int("columns of an image", self.columns, 1, 0xFFFF_FFFF)
        if not self.count:
            raise ValueError(f"an image and its result take {self.stride} model words, but the image memory of the "
                             f"board has {self.memory_words}")

    @property
    def image_words(self) -> int:
        """Model words of an image."""
        return image_words(self.columns, rows=self.rows, model_bits=self.model_bits)

    @property
    def stride(self) -> int:
        """Model words of a slot: an image and the longest result."""
        return self.image_words + record_words(self.max_classes, model_bits=self.model_bits)

    @property
    def count(self) -> int:
        """Number of slots."""
        return self.memory_words // self.stride

    def image(self, slot: int) -> int:
        """Return where in the image memory the image of a slot lies, in model words; ValueError if there is none."""
        check_int("slot", slot, 0, self.count - 1)
        return slot * self.stride

    def record(self, slot: int) -> int:
        """Return where in the image memory the result of a slot lies, in model words; ValueError if there is none."""
        return self.image(slot) + self.image_words
