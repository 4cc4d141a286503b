"""SDRAM: a controller that streams, its pins, its memory test, and the way between two clocks."""

from .controller import SdramController
from .sdram import Sdram

__all__ = ["Sdram", "SdramController"]
