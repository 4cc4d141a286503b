"""Source of ``layernorm.svg``: ``python -m docs.diagrams.layernorm`` writes it again."""

from vitric.golden.spec.layernorm import LIMB_BITS, LayerNormSpec

from docs.diagrams.draw import LOGIC, MEMORY, SHARED, Diagram

__all__ = ["diagram"]

SPEC = LayerNormSpec(lanes=8, max_length=1024)
WORD_BITS = 18


def diagram() -> Diagram:
    """Return the block diagram of ``hdl/layernorm``."""
    s = SPEC
    d = Diagram(1500, 820, "The LayerNorm unit: row buffer, moments, row arithmetic, and the lanes behind it")
    _, shared, _ = d.kinds()
    d.label(20, 24, f"Widths of {s.lanes} lanes, {s.in_bits} bits in, rows of up to {s.max_length}; "
            "a wedge marks registers")
    _lanes(d)
    _moments(d)
    _arithmetic(d)

    # Between the parts.
    d.arrow((20, 100), (170, 100))
    d.label(24, 92, f"i.x: {s.lanes} x {s.in_bits}, last")
    d.dot(130, 100)
    d.arrow((130, 100), (130, 365), (180, 365))
    d.arrow((1085, 380), (1116, 380), (1116, 482), (130, 482), (130, 578), (170, 578))
    d.label(900, 476, f"limb: {LIMB_BITS + 1}", anchor="middle")
    d.dot(130, 578)
    d.arrow((130, 578), (130, 724), (170, 724))
    d.arrow((20, 520), (100, 520), (100, 606), (170, 606))
    d.label(24, 496, "row, taken")
    d.label(24, 512, "with last")
    d.dot(100, 606)
    d.arrow((100, 606), (100, 754), (170, 754))
    d.arrow((1315, 590), (1355, 590))
    d.arrow((1315, 734), (1395, 734), (1395, 660))
    shared(1355, 560, 110, 100, "2 banks", (f"{s.lanes} x {s.multiplier_bits + s.y_bits + 2} bits", "results, scales"))
    d.arrow((1410, 560), (1410, 262), (575, 262), (575, 228))
    for x in (755, 895):
        d.dot(x, 262)
        d.arrow((x, 262), (x, 228))
    d.label(1404, 280, "multiplier, position, offset of each lane", anchor="end")
    return d


def _lanes(d: Diagram) -> None:
    """Draw the row buffer and the lanes' way from value to code."""
    s = SPEC
    lane, shared, memory = d.kinds()
    product_bits = s.in_bits + s.multiplier_bits
    affine_bits = s.y_bits + s.gamma_bits
    shifts = ", ".join(str(s.shift_step * k) for k in range(s.shift_positions))
    memory(170, 62, 160, 76, "row buffer", (f"{s.buffer_depth} x {s.lanes * s.in_bits} bits",))
    lane(370, 62, 90, 76, "x", (f"{s.in_bits} bits",))
    d.frame(490, 36, 860, 204, f"LaneApply, one lane of {s.lanes}")
    lane(500, 62, 150, 76, "MULT18X18D", (f"x * multiplier: {product_bits}", "2 registers"))
    lane(690, 62, 130, 76, f"{s.shift_positions} windows, OR", (f">> {shifts}", f"{s.y_bits} bits"))
    d.box(850, 62, 90, 76, "y", ("- offset", f"{s.y_bits} bits"), fill=LOGIC)
    lane(980, 62, 140, 76, "MULT18X18D", (f"y * gamma: {affine_bits}", "2 registers"))
    lane(1150, 62, 90, 76, "biased", ("+ beta",))
    lane(1265, 62, 75, 76, "code", (f"{s.out_bits} bits",))
    lane(500, 180, 150, 48, "multiplier", (f"{s.multiplier_bits} bits",))
    lane(690, 180, 130, 48, "position", ("2 bits",))
    lane(850, 180, 90, 48, "offset", (f"{s.y_bits} bits",))
    for begin, end in ((330, 370), (460, 500), (650, 690), (820, 850), (940, 980), (1120, 1150), (1240, 1265)):
        d.arrow((begin, 100), (end, 100))
    for x in (575, 755, 895):
        d.arrow((x, 180), (x, 138))
    shared(1150, 180, 190, 48, "beta + half a code", (f"{s.beta_bits + 1} bits, 2 registers",))
    d.arrow((1484, 204), (1340, 204))
    d.label(1484, 196, f"affine.beta: {s.beta_bits}", anchor="end")
    d.arrow((1195, 180), (1195, 138))
    d.arrow((1484, 160), (1050, 160), (1050, 138))
    d.label(1484, 152, f"affine.gamma: {s.gamma_bits}", anchor="end")
    d.arrow((1340, 100), (1484, 100))
    d.label(1484, 92, f"o.code: {s.lanes} x {s.out_bits}", anchor="end")


def _moments(d: Diagram) -> None:
    """Draw the accumulators, the memory of sums and the limbs; the scheduler beside them."""
    s = SPEC
    lane, shared, memory = d.kinds()
    word = s.sum_bits + s.square_sum_bits
    d.frame(150, 296, 570, 174, f"Moments, one lane of {s.lanes}: in the pause, the sums move from lane to lane")
    lane(180, 330, 90, 70, "x", (f"{s.in_bits} bits,", "else 0"))
    lane(310, 390, 150, 70, "MULT18X18D", (f"x * x: {2 * s.in_bits - 1} bits", "2 registers"))
    lane(510, 326, 180, 56, "sum of x", (f"x + (own or next): {s.sum_bits}",))
    lane(510, 400, 180, 56, "sum of squares", (f"+ (own or next): {s.square_sum_bits}",))
    d.arrow((270, 354), (510, 354))
    d.dot(288, 354)
    d.arrow((288, 354), (288, 425), (310, 425))
    d.arrow((460, 428), (510, 428))
    memory(770, 342, 140, 76, "sums", (f"{s.lanes} x {word} bits", "one lane each"))
    shared(955, 342, 130, 76, "5 limbs, OR", (f"of {LIMB_BITS} bits", f"signed: {LIMB_BITS + 1}"))
    d.arrow((690, 354), (770, 354))
    d.label(745, 346, "lane 0", anchor="middle")
    d.arrow((690, 428), (740, 428), (740, 400), (770, 400))
    d.arrow((910, 380), (955, 380))
    shared(1150, 342, 230, 110, "Scheduler", ("phase 0 to 7 of every row", "which lane is read and written",
                                             "groups between sums and scales"))


def _arithmetic(d: Diagram) -> None:
    """Draw the row arithmetic with its two multipliers."""
    s = SPEC
    _, shared, _ = d.kinds()
    d.frame(150, 494, 1180, 306, f"RowScale, shared: a fixed schedule, one row per {s.row_interval} cycles, "
            "about five rows under way")
    q_bits = s.rsqrt_bits + s.length_bits
    upper = (
        (170, 130, "operands", ("selected by phase", f"{WORD_BITS}, {WORD_BITS} bits")),
        (330, 130, "MULT18X18D", (f"{2 * WORD_BITS} bits", "2 registers")),
        (490, 140, "V in columns", (f"accumulator {2 * WORD_BITS}", f"V: {s.variance_bits}")),
        (660, 150, "normalise", ("by 16s, 4s, then 2 bits", f"mantissa {s.mantissa_bits}, k")),
        (840, 150, "rsqrt table", (f"{1 << s.index_bits} x {s.rsqrt_bits + s.slope_bits} bits", "base, slope")),
        (1020, 120, "q", (f"norm * r: {q_bits}", "doubled if short")),
        (1170, 145, "multiplier", (f"{s.multiplier_bits} bits, rounded", "position 2")),
    )
    for x, wide, title, lines in upper:
        d.box(x, 552, wide, 76, title, lines, fill=MEMORY if "table" in title else SHARED, clocked=True)
    for (x, wide, *_), (after, *_) in zip(upper[:4], upper[1:5], strict=True):
        d.arrow((x + wide, 590), (after, 590))
    d.arrow((1140, 590), (1170, 590))
    d.dot(475, 590)
    d.arrow((475, 590), (475, 538), (1080, 538), (1080, 552))
    d.label(640, 532, f"norm * r; base - slope * fraction = r: {s.rsqrt_bits}")
    d.arrow((915, 628), (915, 648), (235, 648), (235, 628))
    d.label(560, 664, f"slope {s.slope_bits}, fraction {s.mantissa_bits - s.index_bits}, then r and norm",
            anchor="middle")

    acc_bits = 2 * WORD_BITS + 1
    lower = (
        (170, 130, "operands", ("selected by phase", f"{WORD_BITS}, {WORD_BITS} bits")),
        (330, 130, "MULT18X18D", (f"{2 * WORD_BITS} bits", "2 registers")),
        (490, 140, "columns", (f"accumulator {acc_bits}", "half a bit to round")),
        (660, 150, "mean", (f"S1 * inverse: {s.mean_bits}", f"{s.mean_fraction} fraction bits")),
        (1170, 145, "offset", (f"{s.y_bits} bits", f"{s.shift_positions} windows, OR")),
    )
    for x, wide, title, lines in lower:
        shared(x, 700, wide, 76, title, lines)
    for begin, end in ((300, 330), (460, 490), (630, 660)):
        d.arrow((begin, 738), (end, 738))
    d.arrow((735, 700), (735, 684), (235, 684), (235, 700))
    d.label(560, 680, "mean, multiplier", anchor="middle")
    d.dot(645, 738)
    d.arrow((645, 738), (645, 788), (1130, 788), (1130, 738), (1170, 738))
    d.label(840, 782, "mean * multiplier")
    d.arrow((1242, 628), (1242, 700))
    d.label(1248, 668, "position")
    d.arrow((1200, 628), (1200, 684), (735, 684))


if __name__ == "__main__":
    diagram().write(__file__)
