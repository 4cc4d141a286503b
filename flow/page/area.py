"""The section about area: what each module takes of the part, and the slowest path."""

from .found import Found
from .parts import Facts, Missing, Part, Plot, Section, Table
from .plots import blank, colours, squares

__all__ = ["area"]

_UNITS = (("lut_eq", "look-up tables (equivalents)"), ("ff", "flip-flops"), ("dsp", "multipliers"),
          ("bram", "block RAMs"))


def area(found: Found) -> Section:
    """Return the area of the placed design by module, and its critical path."""
    placed = found.placed
    if placed is None:
        return Section(name="area", title="Area", parts=[
            Missing(what="look-up tables, multipliers and block RAMs by module", command=found.command("bitstream"))])
    used = ("lut4", "ccu2c", "ff", "dsp", "bram")
    words = found.project.board.part.family.words
    parts: list[Part] = [Table(
        title=f"Of {placed['device']}", header=("what", "used", "share"),
        rows=[(words[name], f"{placed[name]:,}", f"{placed['percent'][name]:.1f} %") for name in used])]
    parts += [_treemap(placed["breakdown"], key, title) for key, title in _UNITS if any(
        row[key] for row in placed["breakdown"])]
    if path := placed["critical_path"]:
        chain = [name for name in dict.fromkeys(_module(net) for net in path["nets"]) if name]
        parts.append(Facts([
            ("critical path", f"{path['delay_ns']} ns, {path['logic_ns']} of it logic and {path['routing_ns']} wires"),
            ("from", path["from"]), ("to", path["to"]), ("through", " → ".join(chain))]))
    return Section(name="area", title="Area", parts=parts)


def _module(net: str) -> str:
    """Return the module that a net is declared in."""
    return net.rpartition(".")[0]


def _treemap(rows: list[dict], key: str, title: str) -> Plot:
    """Return one square for each module in the area of its group, the first two levels of the design."""
    from bokeh.models import ColumnDataSource, CustomJS, HoverTool, LabelSet, TapTool

    groups: dict[str, list[tuple[str, float]]] = {}
    for row in rows:
        if row[key]:
            groups.setdefault(".".join(row["module"].split(".")[:3]), []).append((row["module"], row[key]))
    total = sum(size for group in groups.values() for _, size in group)
    names = sorted(groups, key=lambda name: -sum(size for _, size in groups[name]))
    shades = colours(names)
    data: dict[str, list] = {name: [] for name in (
        "left", "right", "bottom", "top", "module", "size", "share", "colour", "label", "x0", "x1", "y0", "y1")}
    outer = squares([sum(size for _, size in groups[name]) for name in names], 0, 0, 16, 7)
    for name, (x, y, width, height) in zip(names, outer, strict=True):
        group = sorted(groups[name], key=lambda pair: -pair[1])
        inner = squares([size for _, size in group], x, y, width, height)
        for (module, size), (left, bottom, wide, high) in zip(group, inner, strict=True):
            short = module.rpartition(".")[2]
            row = {"left": left, "right": left + wide, "bottom": bottom, "top": bottom + high, "module": module,
                   "size": size, "share": f"{size / total:.1%}", "colour": shades[name],
                   "label": short if wide > 0.11 * len(short) and high > 0.35 else "",
                   "x0": x, "x1": x + width, "y0": y, "y1": y + height}
            for field, value in row.items():
                data[field].append(value)
    source = ColumnDataSource(data)
    plot = blank(x_range=(0, 16), y_range=(0, 7), height=420, tools="tap,reset,save")
    plot.xaxis.visible = plot.yaxis.visible = plot.xgrid.visible = plot.ygrid.visible = False
    drawn = plot.quad(left="left", right="right", bottom="bottom", top="top", source=source, fill_color="colour",
                      fill_alpha=0.75, line_color="white", line_width=1, nonselection_fill_alpha=0.75)
    plot.add_layout(LabelSet(x="left", y="top", text="label", source=source, x_offset=3, y_offset=-15,
                             text_font_size="11px", text_color="black"))
    plot.add_tools(HoverTool(renderers=[drawn], tooltips=[("", "@module"), (title, "@size{0,0} (@share)")]))
    plot.select_one(TapTool).callback = CustomJS(args={"source": source, "x": plot.x_range, "y": plot.y_range}, code="""
        const chosen = source.selected.indices[0]
        if (chosen === undefined) return
        const d = source.data
        const near = x.start === d.x0[chosen] && x.end === d.x1[chosen]
        x.setv(near ? {start: 0, end: 16} : {start: d.x0[chosen], end: d.x1[chosen]})
        y.setv(near ? {start: 0, end: 7} : {start: d.y0[chosen], end: d.y1[chosen]})
        source.selected.indices = []
    """)
    return Plot(model=plot, title=f"{title.capitalize()} by module", text=f"{total:,.0f} in all. A click goes into a "
                "module, another one out again.")
