"""Roofline of the accelerator: what bounds each kind of product, the array or the model stream."""

from .found import Found
from .parts import Plot
from .plots import blank, colours

__all__ = ["roofline"]


def roofline(found: Found) -> Plot:
    """Return products by their multiply-accumulates per byte of the stream, below the roofs of this accelerator.

    The roofline model is Williams, Waterman and Patterson's (2009). Here the memory is the port of the model stream;
    activations never leave the chip. Padding and further planes of wide codes count as work: they are beats. Beats and
    words are those of ``sim.json``: between the end of the command before and the command's own.
    """
    from bokeh.models import ColumnDataSource, HoverTool

    sim, clock = found.simulated, found.clock_mhz
    per_beat, word_bytes = sim["macs_per_cycle"], sim["model_bits"] / 8
    kinds = [kind for kind in sim["breakdown"] if kind["beats"] and kind["model_words"]]
    shades = colours(kind["kind"] for kind in kinds)
    macs = [kind["beats"] * per_beat for kind in kinds]
    source = ColumnDataSource({
        "kind": [kind["kind"] for kind in kinds],
        "intensity": [work / kind["model_words"] / word_bytes for work, kind in zip(macs, kinds, strict=True)],
        "speed": [work / kind["cycles"] * clock / 1e3 for work, kind in zip(macs, kinds, strict=True)],
        "busy": [f"{kind['beats'] / kind['cycles']:.0%} of its cycles" for kind in kinds],
        "colour": [shades[kind["kind"]] for kind in kinds]})
    peak, ridge = per_beat * clock / 1e3, per_beat / word_bytes
    reach = [ridge, *source.data["intensity"]]
    plot = blank(height=380, x_axis_type="log", y_axis_type="log", y_axis_label="10⁹ multiply-accumulates per second",
                 x_axis_label="multiply-accumulates per byte of the model stream")
    left, right = min(reach) / 2, max(reach) * 2
    plot.line(x=[left, ridge, right], y=[peak * left / ridge, peak, peak], color="#d62728", line_width=2,
              legend_label=f"array {per_beat} a cycle, stream {word_bytes:g} bytes a cycle")
    if found.word_cycles > 1:
        slower = ridge * found.word_cycles
        plot.line(x=[left, slower], y=[peak * left / slower, peak], color="#d62728", line_width=2, line_dash="dashed",
                  legend_label=f"the same from SDRAM: a word in {found.word_cycles:.2f} cycles")
    drawn = plot.scatter(x="intensity", y="speed", source=source, size=11, color="colour", legend_group="kind")
    plot.add_tools(HoverTool(renderers=[drawn], tooltips=[
        ("", "@kind"), ("per byte", "@intensity{0.0}"), ("10⁹ per second", "@speed{0.00}"), ("array busy", "@busy")]))
    plot.legend.background_fill_alpha, plot.legend.label_text_color = 0, "#808890"
    plot.add_layout(plot.legend[0], "right")
    return Plot(model=plot, title="Roofline", text=(
        f"From the simulation, at {clock:g} MHz. A point below the sloping roof can be no faster for want of weights, "
        "one below the flat roof for want of multipliers; how far below it lies is what waiting and draining cost. As "
        "above, a kind has all that happens from the end of the command before to its own, its neighbours' beats too."))
