"""How fast the source of a model stream is."""

from dataclasses import dataclass

__all__ = ["EVERY_CYCLE", "WordRate"]


@dataclass(frozen=True)
class WordRate:
    """What a source of model words gives.

    Parameters
    ----------
    word_cycles : float
        Cycles of the accelerator per model word in the long run, at least 1.
    ahead : int
        Words that it has ready when none was taken for a while.
    """

    word_cycles: float = 1
    ahead: int = 0

    def __post_init__(self):
        if self.word_cycles < 1:
            raise ValueError(f"word_cycles must be at least 1, not {self.word_cycles!r}")


EVERY_CYCLE = WordRate()
"""A word in each cycle: block RAM, and a testbench without pauses."""
