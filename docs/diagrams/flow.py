"""Source of ``flow.svg``, the picture in the README: ``python docs/diagrams/flow.py`` writes it again."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

__all__ = ["main", "svg"]

TARGET = Path(__file__).with_suffix(".svg")
BOX_WIDTH, BOX_HEIGHT, COLUMN, ROW, MARGIN = 176, 74, 216, 122, 20
SOFTWARE, HARDWARE, CHECK = "#e8f0fb", "#fbeedd", "#e6f4e6"
INK, LINE = "#1d2733", "#5b6775"

BOXES = {  # name: (column, row, columns wide, colour, title, lines below it)
    "float": (0, 0, 1, SOFTWARE, "float ViT", ("PyTorch, timm's names", "golden/vit.py")),
    "quantize": (1, 0, 1, SOFTWARE, "quantize, lower", ("floats end here", "golden/quantization/")),
    "integer": (2, 0, 1, SOFTWARE, "integer ViT", ("the golden model", "golden/integer/")),
    "compile": (3, 0, 1, SOFTWARE, "compile", ("layers to commands", "flow/compile.py")),
    "stream": (4, 0, 1, HARDWARE, "model stream", ("commands and weights,", "one file")),
    "images": (1, 1, 1, SOFTWARE, "calibration images", ("at most 64,", "never test images")),
    "compare": (2, 1, 1, CHECK, "compare", ("every value written,", "0 may differ")),
    "verilator": (3, 1, 1, HARDWARE, "Verilator", ("make sim", "sim/")),
    "accelerator": (4, 1, 1, HARDWARE, "accelerator", ("Amaranth to Verilog", "hdl/")),
    "spec": (0, 2, 4, "#f3f3f5", "specs", ("all widths, shapes and latencies; the only code that both sides share",
                                           "golden/spec/")),
    "board": (4, 2, 1, HARDWARE, "bitstream", ("make bitstream", "boards/")),
}
ARROWS = (
    ("float", "quantize"), ("quantize", "integer"), ("integer", "compile"), ("compile", "stream"),
    ("images", "quantize"), ("integer", "compare"), ("stream", "accelerator"), ("accelerator", "verilator"),
    ("verilator", "compare"), ("accelerator", "board"),
)


def _frame(name: str) -> tuple[int, int, int, int]:
    """Return left, top, width and height of a box in pixels."""
    column, row, wide = BOXES[name][:3]
    return MARGIN + column * COLUMN, MARGIN + row * ROW, BOX_WIDTH + (wide - 1) * COLUMN, BOX_HEIGHT


def _box(name: str) -> list[str]:
    """Return the elements of one box: frame, title, lines of text."""
    left, top, width, height = _frame(name)
    colour, title, lines = BOXES[name][3:]
    centre = left + width // 2
    text = [f'<text x="{centre}" y="{top + 24}" font-weight="bold">{escape(title)}</text>']
    text += [f'<text x="{centre}" y="{top + 44 + 18 * number}" font-size="13">{escape(line)}</text>'
             for number, line in enumerate(lines)]
    return [f'<rect x="{left}" y="{top}" width="{width}" height="{height}" rx="6" fill="{colour}" stroke="{LINE}"/>',
            *text]


def _arrow(source: str, target: str) -> str:
    """Return a straight arrow between neighbours in one row or column."""
    left, top, width, height = _frame(source)
    to_left, to_top, to_width, to_height = _frame(target)
    if top == to_top:
        y = top + height // 2
        start, end = (left + width, to_left) if left < to_left else (left, to_left + to_width)
        path = f"M{start} {y}H{end}"
    else:
        x = left + width // 2
        start, end = (top + height, to_top) if top < to_top else (top, to_top + to_height)
        path = f"M{x} {start}V{end}"
    return f'<path d="{path}" stroke="{LINE}" stroke-width="1.5" fill="none" marker-end="url(#head)"/>'


def svg() -> str:
    """Return the picture as SVG text."""
    width = 2 * MARGIN + 4 * COLUMN + BOX_WIDTH
    height = 2 * MARGIN + 2 * ROW + BOX_HEIGHT
    elements: Sequence[str] = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="15" fill="{INK}" text-anchor="middle">',
        "<title>From a float ViT to a bitstream, and where the two sides are compared</title>",
        f'<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        f'<path d="M0 0L8 4L0 8Z" fill="{LINE}"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *(_arrow(*pair) for pair in ARROWS),
        *(line for name in BOXES for line in _box(name)),
        "</svg>",
    ]
    return "\n".join(elements) + "\n"


def main() -> None:
    """Write the picture."""
    TARGET.write_text(svg(), encoding="utf-8")


if __name__ == "__main__":
    main()
