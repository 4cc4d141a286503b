"""The section about area: what each module takes of the part, and the slowest path."""

from collections import Counter, defaultdict

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
    if found.floorplan:
        parts.append(_floorplan(found.floorplan))
    if path := placed["critical_path"]:
        chain = [name for name in dict.fromkeys(_module(net) for net in path["nets"]) if name]
        parts.append(Facts([
            ("critical path", f"{path['delay_ns']} ns, {path['logic_ns']} of it logic and {path['routing_ns']} wires"),
            ("from", path["from"]), ("to", path["to"]), ("through", " → ".join(chain))]))
    return Section(name="area", title="Area", parts=parts)


def _floorplan(plan: dict) -> Plot:
    """Return the tiles of the part, each with the colour of the module that has most of it."""
    from bokeh.models import ColumnDataSource, HoverTool

    names = [_group(name) for name in plan["modules"]]
    sizes = Counter()
    tiles: dict[tuple[int, int], Counter] = defaultdict(Counter)
    for kind in ("logic", "ff"):
        for x, y, module, count in plan["places"][kind]:
            tiles[x, y][names[module]] += count
            sizes[names[module]] += count
    shades = colours(name for name, _ in sizes.most_common())
    source = ColumnDataSource({
        "x": [x for x, _ in tiles], "y": [y for _, y in tiles],
        "module": [found.most_common(1)[0][0] for found in tiles.values()],
        "colour": [shades[found.most_common(1)[0][0]] for found in tiles.values()],
        "alpha": [round(min(1.0, 0.25 + sum(found.values()) / 21), 2) for found in tiles.values()],
        "cells": [", ".join(f"{name}: {count}" for name, count in found.most_common()) for found in tiles.values()]})
    blocks = [(x, y, "multiplier" if kind == "dsp" else "block RAM", plan["modules"][module], count)
              for kind in ("dsp", "bram") for x, y, module, count in plan["places"][kind]]
    rows = 1 + max((y for _, y in [*tiles, *(block[:2] for block in blocks)]), default=0)
    plot = blank(match_aspect=True, height=620, y_range=(rows, -1), tools="pan,wheel_zoom,reset,save",
                 active_scroll="wheel_zoom", x_axis_label="column", y_axis_label="row")
    drawn = plot.rect(x="x", y="y", width=0.95, height=0.95, source=source, color="colour", alpha="alpha", line_alpha=0)
    plot.add_tools(HoverTool(renderers=[drawn], tooltips=[("", "column @x, row @y"), ("cells", "@cells")]))
    for what, shade, marker in (("multiplier", "#d62728", "square"), ("block RAM", "#2ca02c", "diamond")):
        chosen = [block for block in blocks if block[2] == what]
        columns = dict(zip(("x", "y", "what", "module", "n"), map(list, zip(*chosen, strict=True)), strict=False))
        marks = plot.scatter(
            x="x", y="y", size=8, marker=marker, fill_alpha=0.15, line_color=shade, fill_color=shade, line_width=1.5,
            legend_label=what, source=ColumnDataSource(columns or {"x": [], "y": []}))
        plot.add_tools(HoverTool(renderers=[marks], tooltips=[("", "@n × @what"), ("module", "@module")]))
    plot.legend.background_fill_alpha, plot.legend.label_text_color = 0, "#808890"
    plot.add_layout(plot.legend[0], "above")
    largest = ", ".join(name for name, _ in sizes.most_common(3))
    return Plot(model=plot, title="Floorplan", text=(
        "Where nextpnr placed the design: each tile has the colour of the module that most of its look-up tables and "
        f"flip-flops belong to, as in the pictures above; the largest are {largest}."))


def _group(module: str) -> str:
    """Return the part of the design that a module is shown as a part of."""
    return ".".join(module.split(".")[:4 if module.startswith("system.accelerator") else 2])


def _module(net: str) -> str:
    """Return the module that a net is declared in."""
    return net.rpartition(".")[0]


def _treemap(rows: list[dict], key: str, title: str) -> Plot:
    """Return one square for each module in the area of its group, the first two levels of the design."""
    from bokeh.models import ColumnDataSource, CustomJS, HoverTool, LabelSet, TapTool

    groups: dict[str, list[tuple[str, float]]] = {}
    for row in rows:
        if row[key]:
            groups.setdefault(_group(row["module"]), []).append((row["module"], row[key]))
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
    height = 420 if key in ("lut_eq", "ff") else 240
    plot = blank(x_range=(0, 16), y_range=(0, 7), height=height, tools="tap,reset,save")
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
    return Plot(model=plot, title=f"{title[0].upper()}{title[1:]} by module", text=(
        f"{total:,.0f} in all. A click goes into a module, another one out again."))
