"""Source of ``flow.svg``, the picture in the README: ``python -m docs.diagrams.flow`` writes it again."""

from docs.diagrams.draw import Diagram

__all__ = ["diagram"]

BOX_WIDTH, BOX_HEIGHT, COLUMN, ROW, MARGIN = 176, 74, 216, 122, 20
SOFTWARE, HARDWARE, CHECK, SHARED = "#e8f0fb", "#fbeedd", "#e6f4e6", "#f3f3f5"

BOXES = {  # name: (column, row, columns wide, colour, title, lines below it)
    "float": (0, 0, 1, SOFTWARE, "float ViT", ("PyTorch, timm's names", "golden/vit.py")),
    "quantize": (1, 0, 1, SOFTWARE, "quantize, lower", ("floats end here", "golden/quantization/")),
    "integer": (2, 0, 1, SOFTWARE, "integer ViT", ("the golden model", "golden/integer/")),
    "compile": (3, 0, 1, SOFTWARE, "compile", ("layers to commands", "compiler/compile.py")),
    "stream": (4, 0, 1, HARDWARE, "model stream", ("commands and weights,", "one file")),
    "images": (1, 1, 1, SOFTWARE, "calibration images", ("at most 64,", "never test images")),
    "compare": (2, 1, 1, CHECK, "compare", ("every value written,", "0 may differ")),
    "verilator": (3, 1, 1, HARDWARE, "Verilator", ("make sim", "sim/")),
    "accelerator": (4, 1, 1, HARDWARE, "accelerator", ("Amaranth to Verilog", "hdl/")),
    "spec": (0, 2, 4, SHARED, "specs", ("all widths, shapes and latencies; the only code that both sides share",
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


def _ends(source: str, target: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the ends of a straight arrow between neighbours in one row or column."""
    left, top, width, height = _frame(source)
    to_left, to_top, to_width, to_height = _frame(target)
    if top == to_top:
        y = top + height // 2
        return ((left + width, y), (to_left, y)) if left < to_left else ((left, y), (to_left + to_width, y))
    x = left + width // 2
    return ((x, top + height), (x, to_top)) if top < to_top else ((x, top), (x, to_top + to_height))


def diagram() -> Diagram:
    """Return the picture."""
    picture = Diagram(2 * MARGIN + 4 * COLUMN + BOX_WIDTH, 2 * MARGIN + 2 * ROW + BOX_HEIGHT,
                      "From a float ViT to a bitstream, and where the two sides are compared")
    for pair in ARROWS:
        picture.arrow(*_ends(*pair))
    for name, (_, _, _, fill, title, lines) in BOXES.items():
        picture.box(*_frame(name), title, lines, fill=fill)
    return picture


if __name__ == "__main__":
    diagram().write(__file__)
