"""Shapes of what passes between the parts of the SDRAM controller, and to its pins."""

from amaranth.lib import data, enum
from vitric.golden.spec.sdram import BANK_BITS, BUS_BITS, SdramSpec

__all__ = ["Command", "line_layout", "page_layout", "pins_layout", "request_layout", "segment_layout", "write_layout"]


class Command(enum.Enum, shape=3):
    """Commands by their code: bit 0 is RAS, bit 1 CAS, bit 2 WE, all of them active (low on the pins) where 1."""

    NOP = 0b000
    ACTIVATE = 0b001
    READ = 0b010
    REFRESH = 0b011
    PRECHARGE = 0b101
    WRITE = 0b110
    MODE = 0b111


def request_layout(spec: SdramSpec) -> data.StructLayout:
    """Return the layout of a request: write one line, or read lines; ``data`` is the line, or the number of lines."""
    return data.StructLayout({"write": 1, "address": spec.address_bits, "data": spec.line_bits})


def write_layout(spec: SdramSpec) -> data.StructLayout:
    """Return the layout of a write of one line."""
    return data.StructLayout({"address": spec.address_bits, "data": spec.line_bits})


def line_layout(spec: SdramSpec) -> data.StructLayout:
    """Return the layout of a line that was read: the first word of the bus is lowest; ``last`` of its request."""
    return data.StructLayout({"data": spec.line_bits, "last": 1})


def page_layout(spec: SdramSpec) -> data.StructLayout:
    """Return the layout of a page, that is, a row of a bank."""
    return data.StructLayout({"bank": BANK_BITS, "row": spec.row_bits})


def segment_layout(spec: SdramSpec) -> data.StructLayout:
    """Return the layout of the part of a read that lies in one page: ``count`` lines from ``column`` on."""
    return data.StructLayout({
        "column": spec.line_column_bits, "page": page_layout(spec), "count": spec.line_column_bits + 1, "last": 1,
    })


def pins_layout(spec: SdramSpec) -> data.StructLayout:
    """Return the layout of what goes to the pins: a command, and a word that is driven if ``drive``."""
    return data.StructLayout({
        "command": Command, "bank": BANK_BITS, "address": spec.pin_bits, "mask": 1, "dq": BUS_BITS, "drive": 1,
    })
