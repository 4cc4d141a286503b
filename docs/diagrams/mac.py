"""Source of ``mac.svg``: ``python -m docs.diagrams.mac`` writes it again."""

from vitric.golden.spec.mac import MacArraySpec
from vitric.hdl.mac.packing import OPERAND_BITS, best_packing, product_bits

from docs.diagrams.draw import LOGIC, Diagram

__all__ = ["diagram"]

SPEC = MacArraySpec(rows=4, cols=4, depth=16, a_bits=4, w_bits=4, acc_bits=24)


def diagram() -> Diagram:
    """Return the block diagram of ``hdl/mac``: the array, and two ways to build a dot product."""
    s = SPEC
    packing = best_packing(s, rows=s.rows, cols=s.cols, operand_bits=OPERAND_BITS["ecp5"])
    a_bits, w_bits = s.depth * s.a_bits, s.depth * s.w_bits
    d = Diagram(1240, 700, "The MAC array, and a dot product of its lut and of its dsp mapping")
    lane, shared, _ = d.kinds()

    d.label(20, 24, f"Widths of an array of {s.rows} x {s.cols}, depth {s.depth}, {s.a_bits} x {s.w_bits} bits, "
            f"accumulators of {s.acc_bits} bits; a wedge marks registers")
    shared(150, 60, 150, 70, f"a, {s.rows} rows", (f"{s.depth} x {s.a_bits} = {a_bits} bits",))
    shared(150, 150, 150, 70, f"w, {s.cols} columns", (f"{s.depth} x {s.w_bits} = {w_bits} bits",))
    shared(150, 240, 150, 84, "starts, ends,", ("valid, shift", f"{s.tree_levels + 1} registers"))
    d.frame(370, 46, 660, 190, f"row r, column c: {s.rows} x {s.cols} times")
    lane(390, 84, 180, 120, "dot product", (f"{s.depth} products and their sum", f"{s.tree_levels} levels of registers",
                                             "see below"))
    shifts = " or ".join(map(str, s.shifts))
    lane(640, 84, 180, 120, "accumulator", (f"(acc << {shifts}) + dot", "cleared before a first beat",
                                             f"{s.acc_bits} bits, one carry chain"))
    lane(890, 84, 120, 120, "result", (f"{s.acc_bits} bits", "takes the sum", "with last"))
    shared(640, 266, 390, 84, "blocked, and o.valid",
          ("blocked: a result will wait and another one will end", "en = not (blocked and not o.ready); i.ready = en",
           "copies of blocked for rows, multipliers, control"))

    for y, text in ((95, f"i.a: {s.rows} x {a_bits}"), (185, f"i.w: {s.cols} x {w_bits}"), (282, "i.first, last,")):
        d.arrow((20, y), (150, y))
        d.label(24, y - 8, text)
    d.label(24, 300, "shift, valid")
    d.arrow((300, 95), (390, 95))
    d.label(306, 87, f"a of r: {a_bits}")
    d.arrow((300, 185), (390, 185))
    d.label(306, 177, f"w of c: {w_bits}")
    d.arrow((570, 144), (640, 144))
    d.label(605, 136, str(s.dot_bits), anchor="middle")
    d.arrow((820, 144), (890, 144))
    d.label(855, 136, f"sum: {s.acc_bits}", anchor="middle")
    d.arrow((1010, 144), (1220, 144))
    d.label(1220, 136, f"o.acc: {s.rows} x {s.cols} x {s.acc_bits}", anchor="end")
    d.arrow((300, 270), (600, 270), (600, 250), (690, 250), (690, 204))
    d.label(390, 262, "shift, valid, starts")
    d.arrow((300, 300), (640, 300))
    d.label(390, 292, "ends")
    d.dot(620, 300)
    d.arrow((620, 300), (620, 366), (1060, 366), (1060, 180), (1010, 180))
    d.arrow((1030, 308), (1220, 308))
    d.label(1220, 300, "o.valid", anchor="end")

    d.frame(20, 384, 1200, 130, "dot product, mapping lut")
    d.box(60, 416, 230, 76, f"heap of {s.depth * s.a_bits * s.w_bits} bits", (
        "a[d][i] and w[d][j] weighs 2^(i+j)", "those of the sign bit complemented"), fill=LOGIC)
    lane(340, 416, 230, 76, "level 1", ("two products per carry cell,", "chains across planes and terms"))
    lane(620, 416, 250, 76, f"levels 2 to {s.tree_levels}", (
        "two bits per carry cell, a third as", "carry in; constant of the signs"))
    d.box(920, 416, 230, 76, "dot", (f"{s.dot_bits} bits, one per column",), fill=LOGIC)
    for x in (290, 570, 870):
        d.arrow((x, 454), (x + 50, 454))

    fields = packing.products
    d.frame(20, 534, 1200, 150, f"{packing.rows} x {packing.cols} dot products, mapping dsp: {s.depth} multipliers, "
            "one per term")
    d.box(60, 566, 210, 96, "pack", (f"{packing.rows} of a side by side", f"{packing.cols} of w, each less one",
                                     "above a negative one"), fill=LOGIC)
    lane(310, 566, 210, 96, "MULT18X18D", ("operand and product registers",
                                            f"{fields} fields, one each {packing.step} bits",
                                            f"{fields} products of {product_bits(s)} bits"))
    lane(560, 566, 190, 96, "field bits", ("top bit: low bit of the next", "field xor its a0 and w0",
                                          "register, if a level is left"))
    d.box(790, 566, 190, 96, f"{fields} heaps", ("a field's bits, and a one", "where the fields below",
                                                 "are negative together"), fill=LOGIC)
    lane(1020, 566, 180, 96, "levels", ("chains as in lut", f"{s.tree_levels} levels in all",
                                       f"{s.dot_bits} bits"))
    for x in (270, 520, 750, 980):
        d.arrow((x, 614), (x + 40, 614))
    return d


if __name__ == "__main__":
    diagram().write(__file__)
