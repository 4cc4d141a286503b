"""Source of ``timing_gelu.svg``: ``python -m docs.diagrams.timing_gelu`` writes it again."""

from vitric.golden.integer.gelu import gelu_table
from vitric.golden.spec.requantize import TableSpec
from vitric.hdl.activation.gelu import Gelu

from docs.diagrams.timing import Timing

__all__ = ["timing"]

SPEC = TableSpec(lanes=2, index_bits=3, out_bits=5)
SCALE, ZERO = 0.5, 4
BEATS = (0, 7), (4, 5), (6, 2), (3, 3), (1, 7), (5, 6)


def timing() -> Timing:
    """Return the timing diagram: a table is loaded, then used."""
    t = Timing(Gelu(SPEC), f"GELU, 2 lanes, {SPEC.entries} entries; x = (index - {ZERO}) / 2, y = (code - {ZERO}) / 16")
    table = gelu_table(SCALE, ZERO, SPEC.index_bits, SCALE / 8, ZERO, SPEC.out_bits).tolist()
    t.send("table", table, fields={"": None}, lengths=[len(table)], idle={0: 1})
    t.send("i", [{"index": beat} for beat in BEATS], fields={"index": None}, lengths=[1] * len(BEATS),
           idle={0: 1 + len(table), 3: 1})
    t.receive("o", fields={"y": None}, lengths=[1] * len(BEATS), stalls=(13, 14))
    t.span("latency", ("i", 0, "taken"), ("o", 0, "valid"))
    t.run(21)
    return t


if __name__ == "__main__":
    timing().write(__file__)
