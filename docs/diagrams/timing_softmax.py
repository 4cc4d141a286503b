"""Source of ``timing_softmax.svg``: ``python -m docs.diagrams.timing_softmax`` writes it again."""

from vitric.golden.spec.softmax import SoftmaxSpec
from vitric.hdl.softmax import Softmax

from docs.diagrams.timing import Timing

__all__ = ["timing"]

SPEC = SoftmaxSpec(lanes=1, max_length=8)
ROWS = (0.75, 2.25, -1, 3, 1.5), (-20, -19), (1.25, 1.25, 1.25), (0, -0.5), (7,)  # octaves
STEP = 8  # octaves below 1


def timing() -> Timing:
    """Return the timing diagram of one lane with short rows."""
    t = Timing(Softmax(SPEC), "Softmax, 1 lane; scores and offset in octaves, codes in steps of 1/256")
    unit = 1 << SPEC.frac_bits
    beats = [{"x": [[int(x * unit)]], "mask": 1, "last": k == len(row) - 1, "offset": STEP * unit}
             for row in ROWS for k, x in enumerate(row)]

    def octaves(value) -> str:
        return f"{value / unit:g}"

    lengths = [len(row) for row in ROWS]
    t.send("i", beats, fields={"x": lambda x: octaves(x[0][0]), "last": None, "offset": octaves}, lengths=lengths,
           idle={0: 1})
    t.receive("o", fields=dict.fromkeys(("code", "last")), lengths=lengths, stalls=(27, 28))
    t.span("latency", ("i", 4, "taken"), ("o", 0, "valid"))
    t.run(48)
    return t


if __name__ == "__main__":
    timing().write(__file__)
