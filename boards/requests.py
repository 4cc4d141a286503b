"""What each request of the host link must look like, and when it is refused."""

from amaranth.hdl import Value
from amaranth.utils import exact_log2
from vitric.golden.spec.accelerator import AcceleratorSpec

from .link import BEGIN_LAYOUT, DATA_LAYOUT, READ_LAYOUT, RUN_LAYOUT, SPEED_LAYOUT, Kind, layout_bytes

__all__ = ["ARGUMENTS", "IMAGE_REQUESTS", "NEEDS_BEGIN", "NEEDS_MODEL", "NEEDS_NO_RUN", "NEEDS_STORE",
           "is_legal_length"]

ARGUMENTS = {Kind.BEGIN: BEGIN_LAYOUT, Kind.DATA: DATA_LAYOUT, Kind.IMAGE: DATA_LAYOUT, Kind.RUN: RUN_LAYOUT,
             Kind.READ: READ_LAYOUT, Kind.SPEED: SPEED_LAYOUT}
"""What the payload of a request begins with."""

IMAGE_REQUESTS = (Kind.IMAGE, Kind.RUN, Kind.STATUS, Kind.READ)
"""Requests to a board with an image memory."""

NEEDS_BEGIN = (Kind.DATA, Kind.COMMIT)
NEEDS_NO_RUN = (Kind.COMMIT, Kind.INFER, Kind.RUN)
NEEDS_MODEL = (Kind.INFER, Kind.RUN)
NEEDS_STORE = (Kind.BEGIN, Kind.DATA, Kind.COMMIT, Kind.INFER, Kind.RUN)


def is_legal_length(kind: Kind, length: Value, spec: AcceleratorSpec) -> Value:
    """Return whether a request of this kind may have a payload of so many bytes."""
    if kind == Kind.INFER:  # whole columns
        return (length != 0) & (length[:exact_log2(spec.rows)] == 0)
    if kind in (Kind.DATA, Kind.IMAGE):  # whole words
        words = (length - layout_bytes(DATA_LAYOUT))[:exact_log2(spec.model_bits // 8)]
        return (length > layout_bytes(DATA_LAYOUT)) & (words == 0)
    return length == layout_bytes(ARGUMENTS.get(kind, ()))
