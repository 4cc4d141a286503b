"""The section about cycles: what each engine did in one image, and what the array waited for."""

from collections import defaultdict

from vitric.golden.tensors import short_name

from .found import Found
from .parts import Facts, Missing, Part, Plot, Section, Table
from .plots import blank, colours
from .roofline import roofline

__all__ = ["time"]

_MANY = 6000  # stretches of an engine that a plot shows


def time(found: Found) -> Section:
    """Return the engines of one image in time, cycles by command, and the waits of the array."""
    if found.simulated is None:
        return Section(name="time", title="Time", parts=[
            Missing(what="what each engine does in an image", command=found.command("sim"))])
    stretches = _joined(found.activity)
    parts: list[Part] = [_gantt(found, stretches), *_waits(found, stretches), _by_command(found), roofline(found),
                         _bound(found)]
    return Section(name="time", title="Time", parts=parts)


def _kind(name: str) -> str:
    return short_name(name.partition("[")[0])


def _joined(activity: dict) -> list[tuple[str, int, int, int, int]]:
    """Return stretches (engine, command, begin, end, active); where an engine has too many, its nearest are one."""
    by_engine = defaultdict(list)
    for engine, *stretch in activity["stretches"]:
        by_engine[activity["engines"][engine]].append(stretch)
    found = []
    for engine in activity["engines"]:
        rows = sorted(by_engine[engine], key=lambda row: row[1])
        gaps = sorted(after[1] - before[2] for before, after in zip(rows, rows[1:], strict=False)
                      if before[0] == after[0])
        least = gaps[len(rows) - _MANY - 1] if len(rows) > _MANY and gaps else -1
        joined: list[list[int]] = []
        for command, begin, end, active in rows:
            if joined and joined[-1][0] == command and begin - joined[-1][2] <= least:
                joined[-1][2:] = end, joined[-1][3] + active
            else:
                joined.append([command, begin, end, active])
        found += [(engine, *row) for row in joined]
    return found


def _gantt(found: Found, stretches) -> Plot:
    from bokeh.models import ColumnDataSource, HoverTool

    activity = found.activity
    names = found.names
    shades = colours(_kind(name) for name in names.values())
    rows = {"engine": [], "left": [], "right": [], "tensor": [], "colour": [], "alpha": [], "active": []}
    for engine, command, begin, end, active in stretches:
        name = names.get(command, "end")
        share = active / (end - begin)
        for key, value in (("engine", engine), ("left", begin), ("right", end), ("tensor", f"{command}: {name}"),
                           ("colour", shades.get(_kind(name), "#808890")), ("alpha", round(0.3 + 0.7 * share, 2)),
                           ("active", f"{share:.0%}")):
            rows[key].append(value)
    free = 0
    for command in found.prediction.commands:
        if command.beats:
            name = names[command.index]
            begin, free = max(free, min(command.ready, command.fed)), command.fed + 1
            for key, value in (("engine", "feeder, predicted"), ("left", begin), ("right", free),
                               ("tensor", f"{command.index}: {name}"), ("colour", shades[_kind(name)]),
                               ("alpha", 0.6), ("active", "by the cycle model")):
                rows[key].append(value)
    order = [*activity["engines"], "feeder, predicted"]
    plot = blank(y_range=order[::-1], height=60 + 36 * len(order), x_axis_label="cycles from the first model word",
                 tools="xpan,xwheel_zoom,xbox_zoom,reset,save", active_scroll="xwheel_zoom", output_backend="canvas")
    bars = plot.hbar(y="engine", left="left", right="right", height=0.8, color="colour", alpha="alpha", line_alpha=0,
                     source=ColumnDataSource(rows))
    plot.add_tools(HoverTool(renderers=[bars], tooltips=[
        ("", "@tensor"), ("engine", "@engine"), ("cycles", "@left to @right"), ("at work", "@active")]))
    return Plot(model=plot, title="One image, engine by engine", text=(
        "From the simulated hardware, first image. Colours are kinds of tensors, paler where an engine pauses within a "
        "stretch. The lowest row is what the cycle model says of the feeder. Turn the wheel to zoom, drag to move."))


def _waits(found: Found, stretches) -> list[Part]:
    """Return for which kinds of products the array waited, and which engine was the last to work before it went on."""
    others = sorted((end, engine, command) for engine, command, _, end, _ in stretches
                    if engine != "feeder" and not engine.endswith(" memory"))
    feeder = sorted((begin, end, command, active) for engine, command, begin, end, active in stretches
                    if engine == "feeder")
    waits: dict[tuple[str, str], int] = defaultdict(int)
    place, free, within = 0, 0, 0
    for begin, end, command, active in feeder:
        if begin > free:
            while place < len(others) and others[place][0] <= begin:
                place += 1
            last = max(others[:place][-1:], default=(0, "nothing", 0))
            waits[_kind(found.names[command]), last[1]] += begin - free
        free, within = max(free, end), within + end - begin - active
    total = found.simulated["cycles_per_image"]
    rows = [(kind, engine, f"{cycles:,}", f"{cycles / total:.1%}")
            for (kind, engine), cycles in sorted(waits.items(), key=lambda item: -item[1])]
    rows.append(("all", "pauses shorter than 16 cycles, and for the drain", f"{within:,}", f"{within / total:.1%}"))
    return [Table(title="Where the array waits", header=("before", "last at work before it went on", "cycles", "share"),
                  rows=rows, numbers=2)]


def _by_command(found: Found) -> Plot:
    from bokeh.models import ColumnDataSource, HoverTool

    predicted: dict[str, int] = defaultdict(int)
    before = 0
    for command in found.prediction.commands:
        predicted[_kind(found.names.get(command.index, "end"))] += command.done - before
        before = command.done
    groups = [group for group in found.simulated["breakdown"] if group["cycles"] >= 1]
    kinds = [group["kind"] for group in groups]
    source = ColumnDataSource({
        "kind": kinds, "cycles": [group["cycles"] for group in groups], "beats": [group["beats"] for group in groups],
        "predicted": [predicted[kind] for kind in kinds], "count": [group["commands"] for group in groups]})
    plot = blank(y_range=kinds[::-1], height=80 + 24 * len(kinds), x_axis_label="cycles")
    bars = plot.hbar(y="kind", right="cycles", height=0.7, source=source, color="#1f77b4", alpha=0.45,
                     legend_label="cycles, simulated")
    plot.hbar(y="kind", right="beats", height=0.35, source=source, color="#1f77b4", legend_label="beats of the array")
    plot.scatter(x="predicted", y="kind", size=9, source=source, color="#ff7f0e", marker="diamond",
                 legend_label="cycles, predicted")
    plot.legend.background_fill_alpha, plot.legend.label_text_color = 0, "#808890"
    plot.legend.location = "bottom_right"
    plot.add_tools(HoverTool(renderers=[bars], tooltips=[
        ("", "@kind, @count commands"), ("cycles", "@cycles{0,0}"), ("predicted", "@predicted{0,0}"),
        ("beats", "@beats{0,0}")]))
    return Plot(model=plot, title="Cycles by kind of command", text=(
        "From the end of the command before to its own, summed over blocks and heads. Commands overlap: a short one is "
        "not necessarily cheap."))


def _bound(found: Found) -> Facts:
    sim = found.simulated
    encoder = sim["encoder"]
    clock = found.clock_mhz
    words = sim["model_words_per_image"]
    return Facts([
        ("array", f"{sim['mac_bound_cycles']:,} cycles if it did nothing else: {sim['array_utilization']:.1%} of "
                  f"{sim['macs_per_cycle']} MAC/cycle are used"),
        ("model stream", f"{words:,} words of {sim['model_bits']} bits, {words:,} cycles at least; in the blocks "
                         f"{encoder['model_bytes_per_cycle_mean']:.2f} bytes per cycle, at most "
                         f"{encoder['model_bytes_per_cycle_peak']:.2f} in one command"),
        ("at the clock", f"{clock:g} MHz: {clock * 1e6 / sim['cycles_per_image']:,.1f} images per second"),
    ])
