"""Source of ``timing_mac.svg``: ``python -m docs.diagrams.timing_mac`` writes it again."""

from vitric.golden.spec.mac import MacArraySpec
from vitric.hdl.mac.array import MacArray

from docs.diagrams.timing import Timing

__all__ = ["timing"]

SPEC = MacArraySpec(rows=1, cols=1, depth=2, a_bits=4, w_bits=4)
SUMS = (  # (a, w, index of the shift) of each beat
    (((5, 2), (3, -1), 0), ((7, 15), (-2, 1), 0), ((1, 4), (6, 7), 0)),
    (((9, 3), (2, 5), 0), ((8, 6), (-7, 1), 1)),
    (((15, 15), (7, 7), 0),),
    (((1, 2), (3, 4), 0),),
    (((6, 6), (-3, 5), 0), ((2, 9), (4, -4), 0)),
    (((3, 1), (1, 1), 0),),
)


def timing() -> Timing:
    """Return the timing diagram of an array of one dot product."""
    t = Timing(MacArray(SPEC), f"MAC array, 1 x 1, depth {SPEC.depth}, shifts {SPEC.shifts}")
    beats = [
        {"a": [a], "w": [w], "first": k == 0, "last": k == len(beats) - 1, "shift": shift}
        for beats in SUMS for k, (a, w, shift) in enumerate(beats)
    ]
    lengths = [len(beats) for beats in SUMS]
    t.send("i", beats, fields=dict.fromkeys(("a", "w", "first", "last", "shift")), lengths=lengths,
           idle={0: 1, 1: 1, 8: 1})
    t.receive("o", fields={"acc": None}, lengths=[1] * len(SUMS), stalls=range(11, 15))
    t.span("latency", ("i", 2, "taken"), ("o", 0, "valid"))
    t.span("stall", ("i", 9, "valid"), ("i", 9, "taken"))
    t.run(22)
    return t


if __name__ == "__main__":
    timing().write(__file__)
