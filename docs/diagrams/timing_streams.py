"""Source of ``timing_streams.svg``: ``python -m docs.diagrams.timing_streams`` writes it again."""

from vitric.hdl.streams import StreamBuffer

from docs.diagrams.timing import Timing

__all__ = ["timing"]


def timing() -> Timing:
    """Return the timing diagram of a skid buffer whose output stalls twice."""
    t = Timing(StreamBuffer(8), "StreamBuffer: ready falls a cycle after the output stalls, and one more beat is kept")
    t.send("i", list(range(1, 10)), fields={"": None}, lengths=[1] * 9, idle={0: 1, 6: 2})
    t.receive("o", fields={"": None}, lengths=[1] * 9, stalls=(4, 5, 6, 11))
    t.span("latency", ("i", 0, "taken"), ("o", 0, "valid"))
    t.span("stall", ("i", 4, "valid"), ("i", 4, "taken"))
    t.run(18)
    return t


if __name__ == "__main__":
    timing().write(__file__)
