"""Source of ``softmax.svg``: ``python -m docs.diagrams.softmax`` writes it again."""

from vitric.golden.spec.softmax import BLOCK_OCTAVES, SoftmaxSpec

from docs.diagrams.draw import LOGIC, Diagram

__all__ = ["diagram"]

SPEC = SoftmaxSpec(lanes=8, max_length=256)


def diagram() -> Diagram:
    """Return the block diagram of ``hdl/softmax``."""
    s = SPEC
    d = Diagram(1330, 740, "The softmax unit: sums of rows, their logarithms, and codes")
    d.label(20, 24, f"Widths of {s.lanes} lanes, rows of up to {s.max_length}, {s.kind} codes of {s.out_bits} bits; "
            "a wedge marks registers")
    _codes(d)
    _sums(d)
    _norms(d)

    # Between the parts.
    d.arrow((20, 100), (190, 100))
    d.label(24, 92, f"i.x: {s.lanes} x {s.score_bits},")
    d.label(24, 118, f"last; offset: {s.offset_bits}")
    d.dot(130, 100)
    d.arrow((130, 100), (130, 355), (190, 355))
    d.label(136, 240, "the same beat to")
    d.label(136, 256, "the buffer and the sum")
    d.arrow((1110, 355), (1250, 355), (1250, 518), (138, 518), (138, 608), (190, 608))
    d.label(640, 512, anchor="middle",
            text=f"once a row: {s.lanes} x (total {s.sum_bits}, block {s.block_index_bits}), offset {s.offset_bits}")
    d.arrow((1210, 608), (1310, 608), (1310, 276), (765, 276), (765, 240))
    d.label(780, 270, f"once a row: {s.lanes} x norm {s.norm_bits}")
    return d


def _codes(d: Diagram) -> None:
    """Draw the row buffer and the lanes' way from score to code."""
    s = SPEC
    lane, shared, memory = d.kinds()
    width = s.lanes * s.score_bits + 1
    table = 1 << (len(s.code_table) - 1).bit_length()
    memory(190, 66, 180, 76, "row buffer", (f"queue of {s.buffer_depth} beats", f"{width} bits"))
    shared(430, 66, 160, 76, "register", (f"{width} bits", "(block RAM is slow)"))
    d.frame(660, 40, 590, 216, f"RowCode, one lane of {s.lanes}; i.ready: a norm is there and the stages advance")
    lane(690, 66, 150, 76, "u = x - norm", (f"{s.norm_bits + 1} bits",))
    lane(690, 174, 150, 66, "norm", (f"{s.norm_bits} bits, for a row",))
    memory(890, 66, 160, 76, "code table", (f"{table} x {s.out_bits} bits", "two lanes share one"))
    lane(890, 174, 160, 66, "below, one, beyond", ("what the table lacks",))
    lane(1100, 66, 120, 76, "code", (f"{s.out_bits} bits",))
    d.arrow((370, 104), (430, 104))
    d.arrow((590, 104), (690, 104))
    d.label(640, 96, f"x: {s.score_bits}", anchor="middle")
    d.arrow((730, 174), (730, 142))
    d.arrow((840, 104), (890, 104))
    d.dot(860, 104)
    d.arrow((860, 104), (860, 207), (890, 207))
    d.arrow((1050, 104), (1100, 104))
    d.arrow((1050, 207), (1160, 207), (1160, 142))
    d.arrow((1220, 104), (1315, 104))
    d.label(1315, 92, "o.code", anchor="end")


def _sums(d: Diagram) -> None:
    """Draw the sum of a row: look-up, compare, accumulate."""
    s = SPEC
    lane, _, memory = d.kinds()
    distances = -(-s.sum_bits // BLOCK_OCTAVES)
    d.frame(150, 296, 1080, 204, f"RowSum, one lane of {s.lanes}: look-up, compare, accumulate")
    memory(190, 322, 170, 66, "term table", (f"{len(s.exp2_table)} x {s.term_bits} bits", "two lanes share one"))
    lane(190, 416, 170, 66, "looked_block", (f"{s.block_index_bits} bits",))
    d.box(430, 416, 170, 66, "rise", ("looked_block - block", f"{s.block_index_bits + 1} bits"), fill=LOGIC)
    lane(660, 322, 180, 66, "term", (f"{s.term_bits + s.guard_bits} bits, shifted by", "blocks that it lies below"))
    lane(660, 416, 180, 66, "sum_drop", (f"{distances} distances, one-hot,", "none with a new row"))
    lane(910, 322, 200, 66, "total", (f"{s.sum_bits} bits", "(total >> blocks) + term"))
    lane(910, 416, 200, 66, "block", (f"{s.block_index_bits} bits", "largest so far"))
    d.arrow((360, 355), (660, 355))
    d.label(510, 347, str(s.term_bits), anchor="middle")
    d.dot(175, 355)
    d.arrow((175, 355), (175, 449), (190, 449))
    d.arrow((360, 449), (430, 449))
    d.arrow((600, 449), (660, 449))
    d.dot(628, 449)
    d.arrow((628, 449), (628, 374), (660, 374))
    d.arrow((840, 355), (910, 355))
    d.arrow((840, 449), (870, 449), (870, 374), (910, 374))
    d.arrow((1010, 482), (1010, 494), (515, 494), (515, 482))
    d.dot(395, 449)
    d.arrow((395, 449), (395, 404), (1010, 404), (1010, 416))


def _norms(d: Diagram) -> None:
    """Draw the logarithm that the lanes share."""
    s = SPEC
    _, shared, _ = d.kinds()
    lead_bits = s.sum_bits - s.sum_frac
    width = lead_bits + s.frac_bits
    steps = [1 << k for k in reversed(range((lead_bits - 1).bit_length()))]
    half = len(steps) // 2
    log_bits = s.frac_bits + lead_bits.bit_length()
    d.frame(150, 534, 1080, 186, f"RowNorm, shared: one lane per cycle, {s.lanes + 5} cycles per row")
    stages = (
        (190, 140, "held", (f"sums of {s.lanes} lanes", "lane counter")),
        (370, 130, "picked", (f"{width} upper bits", "of one lane")),
        (540, 130, "coarse", (f"left by {', '.join(map(str, steps[:half]))}", f"{width} bits")),
        (710, 130, "fine", (f"left by {', '.join(map(str, steps[half:]))}", f"{width} bits")),
        (880, 140, "log", (f"position, mantissa {s.frac_bits}", f"+ correction: {log_bits}")),
        (1060, 150, "norms", (f"base + log: {s.norm_bits}", f"shift register of {s.lanes}")),
    )
    for x, wide, title, lines in stages:
        shared(x, 570, wide, 76, title, lines)
    for (x, wide, *_), (after, *_) in zip(stages, stages[1:], strict=False):
        d.arrow((x + wide, 608), (after, 608))
    shared(370, 666, 650, 40, f"block {s.block_index_bits}, offset {s.offset_bits}: 3 registers, then "
           f"base = {BLOCK_OCTAVES} block - offset: {s.norm_bits}")
    d.arrow((260, 646), (260, 686), (370, 686))
    d.arrow((1020, 686), (1145, 686), (1145, 646))


if __name__ == "__main__":
    diagram().write(__file__)
