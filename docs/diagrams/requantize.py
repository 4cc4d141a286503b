"""Source of ``requantize.svg``: ``python -m docs.diagrams.requantize`` writes it again."""

from vitric.golden.spec.requantize import RequantizeSpec

from docs.diagrams.draw import LOGIC, SHARED, Diagram

__all__ = ["diagram"]

SPEC = RequantizeSpec(lanes=4, acc_bits=24)
LEFT, COLUMN, WIDTH = 150, 196, 166


def diagram() -> Diagram:
    """Return the block diagram of ``hdl/activation/requantize.py``."""
    s = SPEC
    top_bits, start_bits, counted_bits = s.sum_bits - s.operand_bits + 1, s.code_bits + 1, s.floor_bits + 1
    d = Diagram(1390, 560, "Requantize: registers and widths of one lane, and what the lanes share")
    x = [LEFT + COLUMN * k for k in range(6)]

    def stage(column, y, height, title, lines, fill=LOGIC, clocked=True):
        d.box(x[column], y, WIDTH, height, title, lines, fill=fill, clocked=clocked)

    for column, text in enumerate(("0", "1 and 2", "3", "4", "5", "6")):
        d.label(x[column] + WIDTH // 2, 24, f"cycle {text}", anchor="middle")
    d.frame(136, 36, 1164, 272, f"one lane of {s.lanes}; a wedge marks registers")

    # Data of a lane.
    stage(0, 66, 96, "sum", (f"bias + (acc or acc >> {s.narrow_shift})", "choice in the carry cell",
                             f"{s.sum_bits} bits"), clocked=False)
    stage(1, 66, 96, "MULT18X18D", (f"{s.operand_bits} x {s.multiplier_bits} bits", "operand, product", "registers"))
    stage(2, 66, 96, f"{len(s.shifts)} windows, OR", (
        f"floor {s.floor_bits}, half 1", f"product >> {', '.join(map(str, s.shifts))}", "0 unless chosen"))
    stage(3, 66, 96, "counted", ("floor + half + start", f"{counted_bits} bits"))
    stage(4, 66, 96, "inside", (f"{s.code_bits} bits", "0 if below 0"))
    stage(5, 66, 96, "code", ("low + (beyond ?", "span : inside)", f"{s.code_bits} bits"))
    stage(1, 206, 84, "top", (f"the {top_bits} upper bits", "then sign, infinite"))
    stage(2, 206, 84, "outside, sign", ("outside of a window", "or infinite"))
    stage(3, 206, 84, "below, above", ("outside, by its sign",))
    stage(4, 206, 84, "beyond", ("above, or the carry of", "counted + not span"))

    # What the lanes share.
    stage(1, 342, 84, "zero point, limits", (f"{s.code_bits} bits each", "2 registers"), SHARED)
    stage(2, 342, 84, "start, span", (f"zero_point - low: {start_bits}", f"high - low: {s.code_bits}"), SHARED)
    stage(3, 342, 84, "not span, span", (f"{s.code_bits + 1} bits", f"{s.code_bits} bits"), SHARED)
    stage(4, 342, 84, "span, low", (f"{s.code_bits} bits each",), SHARED)
    d.box(x[1], 466, WIDTH + 4 * COLUMN, 50, f"valid, tag: {s.latency} registers beside the data",
          ("en = o.ready or not o.valid: every register of the unit advances, or none does; i.ready = en",),
          fill=SHARED, clocked=True)

    # Inputs.
    for y, name, bits in ((84, "acc", s.acc_bits), (114, "bias", s.bias_bits), (144, "shift (pre)", 1)):
        d.arrow((20, y), (x[0], y))
        d.label(24, y - 6, f"{name}: {bits}")
    d.arrow((20, 186), (x[1] + WIDTH // 3, 186), (x[1] + WIDTH // 3, 162))
    d.label(24, 180, f"multiplier: {s.multiplier_bits}")
    d.arrow((20, 326), (x[1] + WIDTH + 15, 326), (x[1] + WIDTH + 15, 140), (x[2], 140))
    d.label(24, 320, f"shift (post): {s.post_bits}, 2 registers")
    d.arrow((20, 384), (x[1], 384))
    d.label(24, 378, "zero_point, low, high")
    d.arrow((20, 491), (x[1], 491))
    d.label(24, 485, "valid, tag")

    # From stage to stage.
    for column, bits in enumerate((s.operand_bits, s.product_bits, s.floor_bits + 1, counted_bits, s.code_bits)):
        d.arrow((x[column] + WIDTH, 100), (x[column + 1], 100))
        d.label(x[column] + WIDTH + 15, 92, str(bits), anchor="middle")
    d.arrow((x[0] + 120, 162), (x[0] + 120, 248), (x[1], 248))
    d.label(x[0] + 126, 240, str(top_bits))
    for column in (1, 2, 3):
        d.arrow((x[column] + WIDTH, 248), (x[column + 1], 248))
    d.arrow((x[2] + 120, 162), (x[2] + 120, 206))
    d.label(x[2] + 126, 188, "outside")
    d.arrow((x[3] + WIDTH, 140), (x[3] + WIDTH + 15, 140), (x[3] + WIDTH + 15, 222), (x[4], 222))
    d.arrow((x[3] + 60, 206), (x[3] + 60, 186), (x[4] + 30, 186), (x[4] + 30, 162))
    d.label(x[3] + 66, 180, "below: clear")
    d.arrow((x[4] + WIDTH, 248), (x[5] + 50, 248), (x[5] + 50, 162))
    for column in (1, 2, 3):
        d.arrow((x[column] + WIDTH, 384), (x[column + 1], 384))
    d.arrow((x[2] + WIDTH, 360), (x[2] + WIDTH + 15, 360), (x[2] + WIDTH + 15, 150), (x[3], 150))
    d.label(x[2] + WIDTH + 20, 326, f"start: {start_bits}")
    d.arrow((x[3] + WIDTH, 360), (x[3] + WIDTH + 15, 360), (x[3] + WIDTH + 15, 276), (x[4], 276))
    d.label(x[3] + WIDTH + 20, 326, f"not span: {s.code_bits + 1}")
    d.arrow((x[4] + WIDTH, 384), (x[5] + 100, 384), (x[5] + 100, 162))
    d.label(x[5] + 106, 326, "span, low")
    d.arrow((x[5] + WIDTH, 114), (1382, 114))
    d.label(1382, 106, f"y: {s.code_bits}", anchor="end")
    d.arrow((x[5] + WIDTH, 491), (1382, 491))
    d.label(1382, 483, "valid, tag", anchor="end")
    return d


if __name__ == "__main__":
    diagram().write(__file__)
