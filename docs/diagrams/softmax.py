"""Source of ``softmax.svg``: ``python -m docs.diagrams.softmax`` writes it again."""

from vitric.golden.spec.softmax import BLOCK_OCTAVES, SoftmaxSpec

from docs.diagrams.draw import Diagram

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
    d.arrow((1150, 355), (1274, 355), (1274, 400))
    d.kinds()[1](1240, 400, 68, 66, "waiting")
    d.arrow((1274, 466), (1274, 518), (138, 518), (138, 608), (190, 608))
    digits = ", ".join(map(str, s.digit_sum_bits))
    d.label(640, 512, anchor="middle",
            text=f"once a row: {s.lanes} x (sums {digits}, block {s.block_index_bits}), offset {s.offset_bits}")
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
    lane(1100, 66, 120, 76, "entry, code", (f"{s.out_bits} bits",))
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
    """Draw the sum of a row: split, compare, distance, shift, accumulate."""
    s = SPEC
    lane, _, memory = d.kinds()
    distances = len(s.term_digits)
    index_bits = (len(s.exp2_table) - 1).bit_length()
    d.frame(150, 296, 1080, 204, f"RowSum, one lane of {s.lanes}: split, compare, distance, shift, accumulate")
    lane(190, 322, 130, 66, "index", (f"{index_bits} bits",))
    memory(370, 322, 150, 66, "term table", (f"{len(s.exp2_table)} x {s.term_bits} bits", "two lanes share one"))
    lane(560, 322, 130, 66, "term", (f"{s.term_bits} bits",))
    lane(740, 322, 160, 66, "shifted", (f"{s.term_bits + s.guard_bits} bits, right by", "blocks below largest"))
    sums = ", ".join(map(str, s.digit_sum_bits))
    lane(960, 322, 190, 66, "sums of digits", (f"{sums} bits", "(what is kept) + digits"))
    lane(190, 416, 130, 66, "block", (f"{s.block_index_bits} bits",))
    lane(370, 416, 150, 66, "largest", (f"{s.block_index_bits} bits", "of the row so far"))
    lane(560, 416, 130, 66, "below", (f"{distances} distances, one-hot",))
    lane(740, 416, 160, 66, "keep", (f"{distances} rises, one-hot,", "none with a new row"))
    for y, starts in ((355, (320, 520, 690, 900)), (449, (320, 520))):
        for start, end in zip(starts, (370, 560, 740, 960), strict=False):
            d.arrow((start, y), (end, y))
    d.dot(175, 355)
    d.arrow((175, 355), (175, 449), (190, 449))
    d.dot(345, 449)
    d.arrow((345, 449), (345, 404), (625, 404), (625, 416))
    d.arrow((690, 449), (715, 449), (715, 374), (740, 374))
    d.dot(540, 449)
    d.arrow((540, 449), (540, 492), (820, 492), (820, 482))
    d.arrow((900, 449), (930, 449), (930, 374), (960, 374))


def _norms(d: Diagram) -> None:
    """Draw the logarithm that the lanes share."""
    s = SPEC
    _, shared, _ = d.kinds()
    lead_bits = s.sum_bits - s.sum_frac
    width = lead_bits + s.frac_bits
    steps = [1 << k for k in reversed(range((lead_bits - 1).bit_length()))]
    half = len(steps) // 2
    log_bits = s.frac_bits + lead_bits.bit_length()
    d.frame(150, 534, 1080, 186, f"RowNorm, shared: one lane per cycle, {s.lanes + 6} cycles per row")
    stages = (
        (190, 130, "held", (f"sums of {s.lanes} lanes", "lane counter")),
        (345, 120, "picked", (f"{sum(s.digit_sum_bits)} bits", "of one lane")),
        (490, 120, "total", (f"{s.sum_bits} bits", f"{width} are used")),
        (635, 120, "coarse", (f"left by {', '.join(map(str, steps[:half]))}", f"{width} bits")),
        (780, 120, "fine", (f"left by {', '.join(map(str, steps[half:]))}", f"{width} bits")),
        (925, 130, "log", (f"position, {s.frac_bits} bits", f"+ correction: {log_bits}")),
        (1080, 130, "norms", (f"base + log: {s.norm_bits}", f"shift register of {s.lanes}")),
    )
    for x, wide, title, lines in stages:
        shared(x, 570, wide, 76, title, lines)
    for (x, wide, *_), (after, *_) in zip(stages, stages[1:], strict=False):
        d.arrow((x + wide, 608), (after, 608))
    shared(345, 666, 710, 40, f"block {s.block_index_bits}, offset {s.offset_bits}: 4 registers, then "
           f"base = {BLOCK_OCTAVES} block - offset: {s.norm_bits}")
    d.arrow((260, 646), (260, 686), (345, 686))
    d.arrow((1055, 686), (1145, 686), (1145, 646))


if __name__ == "__main__":
    diagram().write(__file__)
