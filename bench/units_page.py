"""The page and the plot of ``bench.units``, made from ``docs/units/figures.json``."""

from collections.abc import Mapping, Sequence

from vitric.flow.reports.plot import draw_svg
from vitric.toolchain.parts import PARTS

__all__ = ["AIMS", "page", "plot", "table"]

_HEAD = """# Measured figures of the units

This page and the plot are made by `make bench-units`; the figures are in [figures.json](figures.json). Every row is one
run of `vitric synth`, described in [synth](../synth.md); `vitric synth UNIT --set … --device … --pnr` repeats it.

* **LUT-eq** = LUT4 + 2·CCU2C + 6·DPR16X4 on ECP5, the look-up tables on iCE40, look-up tables and ALUs on Gowin, of the
  unit alone with its registers; per product (MAC) or per lane.
* **bound** is the least that the arithmetic takes when every carry cell removes a bit and no look-up table is wasted
  (`bench/bounds.py`). Control, shared logic and the beginnings of chains come on top, so it cannot be reached.
* **MHz** is nextpnr's estimate for the unit between shift registers. It does not time the inside of a multiplier of
  the ECP5 (about 4 ns). – stands for what was not placed and routed.
* **aim** is what the unit was meant to reach, where something was said.
"""

_COLUMNS = "| unit | parameters | LUT-eq per | bound | MHz | aim | LUT4 | carry | FF | DSP | per DSP | block RAM |"
_RULE = "|---|---|---:|---:|---:|---|---:|---:|---:|---:|---:|---:|"
AIMS = {"lut_eq_per_mac": "≤ {:g}", "lut_eq_per_lane": "≤ {:g}", "fmax_mhz": "≥ {:g} MHz"}
"""Figures that can have an aim, and how it is written."""


def _parameters(settings: Mapping[str, object]) -> str:
    """Return what was set, for people; the shape of an array in one word."""
    left = dict(settings)
    words = []
    if "depth" in left:
        words.append(f"{left.pop('rows')} × {left.pop('cols')} × {left.pop('depth')}")
        words.append(f"{left.pop('a_bits')} × {left.pop('w_bits')} bits")
        words.append(f"`{left.pop('mapping')}`")
    return ", ".join(words + [f"{name} {value}" for name, value in left.items()])


def _cells(row: Mapping) -> list[str]:
    per = row.get("lut_eq_per_mac", row.get("lut_eq_per_lane"))
    aim = ", ".join(AIMS[name].format(value) for name, value in row["aim"].items())
    mhz = "–" if row["fmax_mhz"] is None else f"{row['fmax_mhz']:.0f}"
    return [f"{per:.1f}", f"{row['bound']:.1f}", mhz, aim, f"{row['lut4']}", f"{row['carry']}", f"{row['ff']}",
            f"{row['dsp']:g}", f"{row['macs_per_dsp']:g}" if row.get("macs_per_dsp") else "", f"{row['bram']}"]


def table(rows: Sequence[Mapping]) -> str:
    """Return the rows of one device as a Markdown table."""
    lines = [_COLUMNS, _RULE]
    for row in rows:
        cells = [row["unit"], _parameters(row["settings"])]
        cells += [row["error"]] + [""] * 9 if "error" in row else _cells(row)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _versions(rows: Sequence[Mapping]) -> str:
    found = {f"{name} {version}" for row in rows for name, version in row.get("tools", {}).items() if name != "vitric"}
    seeds = max((len(row.get("seeds", ())) for row in rows), default=0)
    return f"{', '.join(sorted(found))}; {'one seed' if seeds == 1 else f'best of {seeds} seeds'}."


def page(figures: Mapping) -> str:
    """Return ``figures.md``."""
    parts = [_HEAD]
    for name, part in PARTS.items():
        rows = [row for row in figures["rows"] if row["device"] == name]
        if rows:
            parts.append(f"## {part.title} (`{name}`)\n\n{table(rows)}\n{_versions(rows)}\n")
    parts.append(
        "## Area over bit width\n\nLUT-eq per product of a 2 × 2 array of depth 16 on ECP5 without place and route, "
        "operands of equal width, for each mapping; dashed: the bound without multipliers.\n\n"
        "![LUT-eq per MAC over the width of the operands](lut_per_mac.svg)\n")
    return "\n".join(parts)


def plot(rows: Sequence[Mapping]) -> str:
    """Return the plot of area over bit width as SVG."""
    from vitric.golden.spec.mac import MacArraySpec

    from bench.bounds import mac_bound

    def draw(figure):
        axes = figure.add_subplot()
        measured = [row for row in rows if "error" not in row]
        for mapping in dict.fromkeys(row["settings"]["mapping"] for row in measured):
            points = [row for row in measured if row["settings"]["mapping"] == mapping]
            axes.plot([row["settings"]["a_bits"] for row in points], [row["lut_eq_per_mac"] for row in points],
                      marker="o", label=mapping)
        bits = range(2, 9)
        bounds = [mac_bound(MacArraySpec(rows=2, cols=2, depth=16, a_bits=b, w_bits=b, acc_bits=24)) for b in bits]
        axes.plot(bits, bounds, linestyle="--", color="0.5", label="bound")
        axes.set(xlabel="bits of each operand", ylabel="LUT-eq per MAC", yscale="log")
        ticks = [5, 10, 20, 50, 100, 200]
        axes.set_yticks(ticks, labels=[str(tick) for tick in ticks])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend()

    return draw_svg(draw, (7, 4.2))
