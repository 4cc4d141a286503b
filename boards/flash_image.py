"""How a model lies in a slot of a board's flash: a header, and from the next page on the words of the model."""

import enum

from vitric.golden.spec.check import check_int

from .crc import crc32c
from .link import layout_bytes, pack_layout

__all__ = ["DATA_OFFSET", "HEADER_LAYOUT", "MAGIC", "FlashState", "flash_image"]

MAGIC = int.from_bytes(b"VIT\x01", "little")
"""First bytes of a header; the last one is the version of this layout."""

HEADER_LAYOUT = (("magic", 4), ("spec_hash", 4), ("written", 4), ("words", 4), ("crc", 4), ("check", 4))
"""MAGIC; AcceleratorSpec.hash; seconds since 1970 at which it was written, the larger of two being the newer model;
length in model words and CRC-32C of all bytes of the model; CRC-32C of the header before it."""

DATA_OFFSET = 256
"""Bytes from the beginning of a slot to the model: a page of the flash."""


class FlashState(enum.IntEnum):
    """What a board has found in its flash."""

    NONE = 0
    """It does not look there, or the memory that the model would be copied to is not in order."""
    LOOKING = 1
    """It still looks, or copies."""
    LOADED = 2
    """A model, which was in use from then on."""
    EMPTY = 3
    """No model."""
    FOREIGN = 4
    """Only models for another accelerator, or longer than the board's memory for them."""
    DAMAGED = 5
    """A model whose bytes are not those that were written."""


def flash_image(model: bytes, *, model_bits: int, spec_hash: int, written: int) -> bytes:
    """Return what is written to a slot.

    Parameters
    ----------
    model : bytes
        A model stream.
    model_bits, spec_hash : int
        Of the accelerator.
    written : int
        Seconds since 1970, or one more than those of the model in the other slot if that is larger.

    Raises
    ------
    ValueError
        No model, or ``written`` beyond 32 bits.
    """
    check_int("length of the model in bytes", len(model), 1, 1 << 24)
    check_int("written", written, 0, (1 << 32) - 1)
    fields = {"magic": MAGIC, "spec_hash": spec_hash, "written": written, "words": len(model) // (model_bits // 8),
              "crc": crc32c(model)}
    head = pack_layout(HEADER_LAYOUT[:-1], fields)
    head += pack_layout(HEADER_LAYOUT[-1:], {"check": crc32c(head)})
    assert len(head) == layout_bytes(HEADER_LAYOUT)
    return head + b"\xff" * (DATA_OFFSET - len(head)) + model
