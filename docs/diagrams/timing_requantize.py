"""Source of ``timing_requantize.svg``: ``python -m docs.diagrams.timing_requantize`` writes it again."""

from vitric.golden.spec.requantize import RequantizeSpec
from vitric.hdl.activation.requantize import Requantize

from docs.diagrams.timing import Timing

__all__ = ["timing"]

SPEC = RequantizeSpec(lanes=2, acc_bits=16, bias_bits=16, multiplier_bits=8, shifts=(4, 8), out_bits=4)
CODES = {"zero_point": 2, "low": 0, "high": 15}
BEATS = (  # acc of both lanes, bias, multiplier, index of the shift
    ((90, -5), 10, 16, 1), ((31, 8), -1, 200, 1), ((7, 400), 0, 5, 0), ((3, 4), 8, 8, 0), ((-60, 9), 0, 30, 1),
    ((12, 20), 4, 96, 1), ((99, 50), -50, 48, 1), ((1, 2), 3, 40, 0),
)


def timing() -> Timing:
    """Return the timing diagram of two lanes."""
    t = Timing(Requantize(SPEC), f"Requantize, 2 lanes, codes from {CODES['low']} to {CODES['high']}, zero point "
               f"{CODES['zero_point']}")
    beats = [{"acc": acc, "bias": bias, "multiplier": multiplier, "shift": shift, **CODES}
             for acc, bias, multiplier, shift in BEATS]
    t.send("i", beats, fields={"acc": None, "bias": None, "multiplier": None, "shift": lambda k: str(SPEC.shifts[k])},
           lengths=[1] * len(beats), idle={0: 1, 2: 1})
    t.receive("o", fields={"y": None}, lengths=[1] * len(beats), stalls=(8, 9))
    t.span("latency", ("i", 0, "taken"), ("o", 0, "valid"))
    t.span("stall", ("i", 6, "valid"), ("i", 6, "taken"))
    t.run(20)
    return t


if __name__ == "__main__":
    timing().write(__file__)
