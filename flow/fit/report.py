"""What `vitric fit` found, as table, plot and text."""

from collections.abc import Sequence

from vitric.toolchain.parts import Part

from ..reports.plot import draw_svg
from ..reports.stream import aligned
from .search import Choice, Limit

__all__ = ["describe", "plot", "reason", "show"]


def describe(choice: Choice) -> str:
    """Return an accelerator's shape in words."""
    spec = choice.spec
    return (f"{spec.rows}x{spec.cols}x{spec.depth} array, {spec.a_bits}x{spec.w_bits} bits, {spec.model_bits}-bit "
            f"stream, {spec.drain_cols} columns per cycle, {spec.weight_words} weight words")


def reason(choice: Choice, clock_mhz: float, part: Part) -> str:
    """Return why an accelerator was chosen, for the project's file."""
    return (f"vitric fit: {describe(choice)}; predicted: {choice.run.cycles} cycles an image, "
            f"{choice.images_per_s(clock_mhz):.0f} images/s at {clock_mhz:g} MHz, {choice.area.lut_eq} LUT4 of "
            f"{part.name}")


def show(front: Sequence[Choice], chosen: Choice, bounds: Sequence[Limit], part: Part, clock_mhz: float, out) -> None:
    """Print the front as a table, the choice, and what bounds it."""
    lines = [("", "array", "bits", "stream", "drain", "cycles", "busy", "images/s", "LUT-eq", "FF", "mult.", "BRAM")]
    for choice in front:
        spec, area = choice.spec, choice.area
        lines.append((
            "*" if choice is chosen else "", f"{spec.rows}x{spec.cols}x{spec.depth}", f"{spec.a_bits}x{spec.w_bits}",
            str(spec.model_bits), str(spec.drain_cols), str(choice.run.cycles),
            f"{choice.run.beats / choice.run.cycles:.0%}", f"{choice.images_per_s(clock_mhz):.0f}", str(area.lut_eq),
            str(area.ff), str(area.dsp), str(area.bram)))
    for line in aligned(lines, left=(0, 1)):
        out.print(line, markup=False, soft_wrap=True)
    area = chosen.area
    out.print(f"chosen: {describe(chosen)}", markup=False, soft_wrap=True)
    out.print(f"  {area.lut_eq / part.lut4:.0%} of the LUT4, {area.ff / part.ff:.0%} of the flip-flops, "
              f"{area.dsp / part.dsp:.0%} of the multipliers, {area.bram / part.bram:.0%} of the block RAMs of "
              f"{part.name}", markup=False, soft_wrap=True)
    out.print(f"  the array works in {chosen.run.beats / chosen.run.cycles:.1%} of the cycles", markup=False)
    for limit in bounds:
        out.print(f"  {limit.what} would save {limit.gain:.1%} of them: {limit.cost}", markup=False, soft_wrap=True)


def plot(choices: Sequence[Choice], front: Sequence[Choice], chosen: Choice, part: Part, clock_mhz: float) -> str:
    """Return images per second against area as SVG: every accelerator that fits, the front, the choice."""
    def draw(figure) -> None:
        axes = figure.subplots()
        fitting = [choice for choice in choices if not choice.over]
        for some, style in ((fitting, {"s": 8, "color": "0.75", "label": "fits"}),
                            ([chosen], {"s": 70, "color": "tab:orange", "zorder": 3, "label": "chosen"})):
            axes.scatter([choice.area.lut_eq for choice in some],
                         [choice.images_per_s(clock_mhz) for choice in some], **style)
        axes.plot([choice.area.lut_eq for choice in front], [choice.images_per_s(clock_mhz) for choice in front],
                  marker="o", markersize=4, label="front")
        axes.set(xlabel=f"LUT4 and what takes their place, of {part.lut4} of {part.name}",
                 ylabel=f"images/s at {clock_mhz:g} MHz", yscale="log", xlim=(0, None))
        axes.grid(alpha=0.3)
        axes.legend()

    return draw_svg(draw, (7, 4.5))
