"""Source of ``gelu.svg``: ``python -m docs.diagrams.gelu`` writes it again."""

from vitric.golden.spec.requantize import TableSpec

from docs.diagrams.draw import Diagram

__all__ = ["diagram"]

SPEC = TableSpec(lanes=4)


def diagram() -> Diagram:
    """Return the block diagram of ``hdl/activation/gelu.py``."""
    s = SPEC
    d = Diagram(900, 400, "GELU: one copy of the table per lane, written together and read apart")
    lane, shared, memory = d.kinds()
    shared(180, 50, 150, 74, "position", (f"{s.index_bits} bits", "+ 1 with each entry"))
    d.frame(150, 146, 620, 130, f"one lane of {s.lanes}; a wedge marks registers")
    memory(400, 176, 160, 84, "copy of the table", (f"{s.entries} entries of {s.out_bits} bits", "synchronous read"))
    lane(620, 176, 120, 84, "y", (f"{s.out_bits} bits",))
    shared(180, 310, 560, 58, f"valid, tag: {s.latency} registers beside the data",
          ("en = o.ready or not o.valid: every register behind i advances, or none does; i.ready = en",))
    d.arrow((20, 30), (520, 30), (520, 176))
    d.label(24, 22, f"table: {s.out_bits} bits, always ready")
    d.label(526, 60, "data")
    d.arrow((100, 30), (100, 87), (180, 87))
    d.dot(100, 30)
    d.label(106, 80, "valid")
    d.arrow((330, 87), (440, 87), (440, 176))
    d.label(340, 79, "write address")
    d.arrow((20, 218), (400, 218))
    d.label(24, 210, f"i.index: {s.index_bits} bits")
    d.label(340, 210, "address", anchor="middle")
    d.arrow((560, 218), (620, 218))
    d.label(590, 210, str(s.out_bits), anchor="middle")
    d.arrow((740, 218), (880, 218))
    d.label(880, 210, f"o.y: {s.out_bits} bits", anchor="end")
    d.arrow((20, 340), (180, 340))
    d.label(24, 332, "i.valid, i.tag")
    d.arrow((740, 340), (880, 340))
    d.label(880, 332, "o.valid, o.tag", anchor="end")
    return d


if __name__ == "__main__":
    diagram().write(__file__)
