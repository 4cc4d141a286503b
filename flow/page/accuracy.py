"""The section about what rounding costs: each tensor through the depth, and how its codes are used."""

import torch
from vitric.golden.tensors import tensor

from .codes import codes_of
from .found import Found
from .parts import Missing, Part, Plot, Section, Table
from .plots import blank, colours

__all__ = ["accuracy"]

_BINS = 32


def accuracy(found: Found) -> Section:
    """Return signal-to-noise ratios of all tensors, and histograms of their codes."""
    parts: list[Part] = []
    if found.quantized and found.quantized["tensors"]:
        parts += [_ratios(found.quantized["tensors"]), _scales(found.quantized["tensors"])]
    elif found.project.weights:
        parts.append(Missing(what="how far each tensor is from the float model's", command=found.command("quantize")))
    parts.append(_histograms(found))
    if found.sensitivity:
        parts.append(_sensitivity(found.sensitivity))
    elif found.project.weights:
        parts.append(Missing(what="what each kind of rounding costs alone", command=found.command("study sensitivity")))
    return Section(name="accuracy", title="Accuracy", parts=parts)


def _ratios(errors: dict[str, dict]) -> Plot:
    from bokeh.models import ColumnDataSource, HoverTool

    kinds = [tensor(name).kind for name in errors]
    shades = colours(kinds)
    source = ColumnDataSource({
        "x": list(range(len(errors))), "name": list(errors), "db": [error["snr_db"] for error in errors.values()],
        "kind": kinds, "colour": [shades[kind] for kind in kinds]})
    plot = blank(height=320, x_axis_label="tensors in the order of computation", y_axis_label="dB")
    plot.line(x="x", y="db", source=source, color="#808890", alpha=0.5)
    drawn = plot.scatter(x="x", y="db", source=source, size=9, color="colour", legend_group="kind")
    plot.add_tools(HoverTool(renderers=[drawn], tooltips=[("", "@name"), ("signal to noise", "@db{0.0} dB")]))
    plot.legend.background_fill_alpha, plot.legend.label_text_color = 0, "#808890"
    plot.add_layout(plot.legend[0], "right")
    return Plot(model=plot, title="Signal-to-noise ratio through the depth", text=(
        "Of the integer model against the float model, on training images that were not calibrated on: all errors up "
        "to the tensor together. 20 dB are an error of 10 %."))


def _scales(errors: dict[str, dict]) -> Table:
    rows = []
    for name, error in errors.items():
        low, high = error["scale"]
        rows.append((name, f"{error['snr_db']:.1f}", f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}",
                     str(error["zero_point"]), f"{error['saturated']:.1%}", f"{error['outlier']:.1f}"))
    return Table(title="Steps, saturation, outliers", search=True, rows=rows, header=(
        "tensor", "dB", "scale", "zero point", "at an end of its codes", "largest channel over median"))


def _sensitivity(records: list[dict]) -> Plot:
    from bokeh.models import ColumnDataSource, HoverTool

    alone = sorted((one for one in records if one["mode"] == "only"), key=lambda one: one["logit_snr_db"])
    source = ColumnDataSource({
        "part": [one["part"] for one in alone], "db": [one["logit_snr_db"] for one in alone],
        "accuracy": [f"{one['accuracy']:.2%} of {one['images']} images, float {one['float']:.2%}" for one in alone]})
    plot = blank(y_range=source.data["part"][::-1], height=80 + 24 * len(alone), x_axis_label="dB of the logits")
    drawn = plot.hbar(y="part", right="db", height=0.7, source=source, color="#1f77b4", alpha=0.7)
    plot.add_tools(HoverTool(renderers=[drawn], tooltips=[
        ("rounded alone", "@part"), ("logits", "@db{0.0} dB"), ("accuracy", "@accuracy")]))
    return Plot(model=plot, title="What each kind of rounding costs alone", text=(
        "Everything else in float, simulated: the shortest bars cost most. By `vitric study sensitivity`."))


def _histograms(found: Found) -> Plot:
    from bokeh.models import ColumnDataSource, HoverTool

    data: dict[str, list] = {key: [] for key in ("name", "y", "height", "share", "alpha", "codes")}
    for name, values in found.golden[1].items():
        low, high, _ = codes_of(found.model, name)
        bins = min(_BINS, high - low + 1)
        counts = torch.histc(values.double(), bins=bins, min=low, max=high)
        step = (high - low) / bins
        for place, count in enumerate(counts.tolist()):
            share = count / values.numel()
            if share:
                row = {"name": name, "y": (place + 0.5) / bins, "height": 1 / bins, "share": f"{share:.2%}",
                       "alpha": round(min(1.0, 0.08 + (share * bins) ** 0.5 / 4), 3),
                       "codes": f"{low + place * step:.0f} to {low + (place + 1) * step:.0f}"}
                for key, value in row.items():
                    data[key].append(value)
    names = list(found.golden[1])
    plot = blank(height=460, x_range=names, y_range=(0, 1), y_axis_label="place in the range of its codes")
    plot.xaxis.major_label_orientation = 1.2
    drawn = plot.rect(x="name", y="y", width=0.9, height="height", source=ColumnDataSource(data), color="#1f77b4",
                      alpha="alpha", line_alpha=0)
    plot.add_tools(HoverTool(renderers=[drawn], tooltips=[("", "@name"), ("codes", "@codes"), ("share", "@share")]))
    return Plot(model=plot, title="How the codes are used", text=(
        "Of the images above: each column is a histogram of a tensor over the whole range of its codes, darker where "
        "more values are. A tensor that is dark at an end is clipped there; one that is mostly blank wastes bits."))
