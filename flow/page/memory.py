"""The section about memory: which tensor lies where when, and the bytes of the stream."""

from vitric.golden.tensors import short_name

from .found import Found
from .parts import Part, Plot, Section
from .plots import blank, colours

__all__ = ["memory"]


def memory(found: Found) -> Section:
    """Return activation memory over the commands, and the words of the stream by command."""
    parts: list[Part] = [_activations(found), _stream(found)]
    return Section(name="memory", title="Memory", parts=parts)


def _activations(found: Found) -> Plot:
    from bokeh.models import ColumnDataSource, HoverTool, Span

    done = {command.index: command.done for command in found.prediction.commands}
    buffers = [buffer for buffer in found.plan.buffers if buffer.first is not None]
    shades = colours(short_name(buffer.name) for buffer in buffers)
    source = ColumnDataSource({
        "left": [done.get(buffer.first - 1, 0) for buffer in buffers],
        "right": [done[buffer.last] for buffer in buffers],
        "bottom": [buffer.base for buffer in buffers], "top": [buffer.base + buffer.words for buffer in buffers],
        "name": [buffer.name for buffer in buffers], "words": [buffer.words for buffer in buffers],
        "colour": [shades[short_name(buffer.name)] for buffer in buffers],
        "alive": [f"{buffer.first} to {buffer.last}" for buffer in buffers]})
    words = found.project.spec.act_words
    plot = blank(x_axis_label="cycles, predicted", y_axis_label="word", y_range=(0, 1.1 * found.plan.act_words),
                 active_scroll="xwheel_zoom")
    drawn = plot.quad(left="left", right="right", bottom="bottom", top="top", source=source, fill_color="colour",
                      fill_alpha=0.7, line_color="white", line_width=0.5)
    plot.add_layout(Span(location=words, dimension="width", line_color="#d62728", line_dash="dashed"))
    plot.add_tools(HoverTool(renderers=[drawn], tooltips=[
        ("", "@name"), ("words", "@words from @bottom"), ("commands", "@alive")]))
    return Plot(model=plot, title="Activation memory", text=(
        f"The network takes {found.plan.act_words:,} of {words:,} words (dashed, where that is within the plot). Each "
        "tensor lies at one place from the command that writes it to the last one that reads it; blank is free."))


def _stream(found: Found) -> Plot:
    from bokeh.models import ColumnDataSource, HoverTool

    commands = found.prediction.commands
    bytes_per_word = found.project.spec.model_bits // 8
    names = [found.names.get(command.index, "end") for command in commands]
    shades = colours(short_name(name.partition("[")[0]) for name in names)
    source = ColumnDataSource({
        "index": [command.index for command in commands], "name": names,
        "bytes": [command.model_words * bytes_per_word for command in commands],
        "colour": [shades[short_name(name.partition("[")[0])] for name in names]})
    plot = blank(x_axis_label="command", y_axis_label="bytes", height=280)
    drawn = plot.vbar(x="index", top="bytes", width=0.9, source=source, color="colour", line_alpha=0)
    plot.add_tools(HoverTool(renderers=[drawn], tooltips=[("", "@index: @name"), ("bytes", "@bytes{0,0}")]))
    total = found.prediction.model_bytes
    return Plot(model=plot, title="Model stream", text=f"{total:,} bytes an image behind the header, by command.")
