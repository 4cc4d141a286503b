"""Plots of a page: they look the same, on light and on dark paper."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bokeh.plotting import figure as Figure

__all__ = ["blank", "colours", "squares"]

_GREY = "#808890"  # legible on white and on black


def blank(**options) -> "Figure":
    """Return an empty figure as wide as the page; ``options`` are Bokeh's."""
    from bokeh.plotting import figure

    plot = figure(**{"height": 360, "sizing_mode": "stretch_width", "toolbar_location": "above",
                     "tools": "pan,xwheel_zoom,box_zoom,reset,save"} | options)
    plot.background_fill_alpha = plot.border_fill_alpha = 0
    plot.outline_line_color, plot.outline_line_alpha = _GREY, 0.4
    plot.toolbar.logo = None
    for axis in (*plot.xaxis, *plot.yaxis):
        axis.axis_label_text_color = axis.major_label_text_color = _GREY
        axis.axis_line_color = axis.major_tick_line_color = axis.minor_tick_line_color = _GREY
    for grid in (*plot.xgrid, *plot.ygrid):
        grid.grid_line_color, grid.grid_line_alpha = _GREY, 0.2
    return plot


def colours(names: Iterable[str]) -> dict[str, str]:
    """Return a colour for each name, the same one for the same list."""
    from bokeh.palettes import Category20

    palette = Category20[20]
    palette = [*palette[::2], *palette[1::2]]  # the strong ones first
    return {name: palette[place % len(palette)] for place, name in enumerate(dict.fromkeys(names))}


def squares(sizes: list[float], x: float, y: float, width: float, height: float) -> list[tuple]:
    """Return rectangles (x, y, width, height) of the given areas that fill a rectangle, nearly square.

    ``sizes`` are in descending order. Squarified treemaps: Bruls, Huizing and van Wijk 2000: rows along the shorter
    side take sizes as long as that makes the worst aspect ratio better.
    """
    total = sum(sizes)
    if not total:
        return [(x, y, 0.0, 0.0)] * len(sizes)
    areas, found = [size * width * height / total for size in sizes], []
    while areas:
        side, count = min(width, height), 1
        while count < len(areas) and _worst(areas[:count + 1], side) <= _worst(areas[:count], side):
            count += 1
        row, areas = areas[:count], areas[count:]
        thick, place = sum(row) / side if side else 0.0, 0.0
        for area in row:
            long = area / thick if thick else 0.0
            found.append((x, y + place, thick, long) if width >= height else (x + place, y, long, thick))
            place += long
        if width >= height:
            x, width = x + thick, max(0.0, width - thick)
        else:
            y, height = y + thick, max(0.0, height - thick)
    return found


def _worst(row: list[float], side: float) -> float:
    """Return the largest aspect ratio of rectangles that share a row along ``side``."""
    total = sum(row)
    if not total or not min(row) or not side:
        return float("inf")
    return max(side ** 2 * max(row) / total ** 2, total ** 2 / (side ** 2 * min(row)))
