"""Boxes, arrows and labels as SVG text: what the block diagrams of the documentation are made of.

A diagram is a module beside this one that builds a :class:`Diagram` and writes it next to itself::

    python -m docs.diagrams.accelerator
"""

from collections.abc import Callable, Sequence
from functools import partial
from html import escape
from pathlib import Path

__all__ = ["LOGIC", "MEMORY", "SHARED", "Diagram"]

INK, LINE = "#1d2733", "#5b6775"
LOGIC, MEMORY, SHARED = "#e8f0fb", "#e6f4e6", "#fbeedd"
"""Fills of the units' diagrams: what there is per lane, memories, and what the lanes share."""
LINE_HEIGHT = 17


class Diagram:
    """A picture with pixel coordinates; later elements lie on earlier ones.

    Parameters
    ----------
    width, height : int
        Size in pixels.
    title : str
        What the picture shows, for readers that cannot see it.
    """

    def __init__(self, width: int, height: int, title: str):
        self.size = width, height
        self.title = title
        self._elements: list[str] = []

    def box(self, x: int, y: int, width: int, height: int, title: str, lines: Sequence[str] = (), *,
            fill: str = "#f3f3f5", clocked: bool = False) -> None:
        """Add a rectangle with a bold title and lines of small text, centred; ``clocked`` ones have a clock mark."""
        self._elements.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" fill="{fill}" stroke="{LINE}"/>')
        if clocked:
            self._elements.append(
                f'<path d="M{x + 12} {y + height}l6 -9l6 9" stroke="{LINE}" stroke-width="1.5" fill="none"/>')
        centre = x + width // 2
        top = y + (height - LINE_HEIGHT * (1 + len(lines))) // 2 + 13
        self._elements.append(f'<text x="{centre}" y="{top}" font-weight="bold">{escape(title)}</text>')
        for number, line in enumerate(lines, 1):
            self.label(centre, top + LINE_HEIGHT * number, line, anchor="middle")

    def kinds(self) -> tuple[Callable, ...]:
        """Return :meth:`box` for clocked boxes of a lane, shared by the lanes, and of memory."""
        return tuple(partial(self.box, fill=fill, clocked=True) for fill in (LOGIC, SHARED, MEMORY))

    def frame(self, x: int, y: int, width: int, height: int, title: str) -> None:
        """Add a dashed rectangle with its title in the upper left corner."""
        self._elements.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" fill="none" stroke="{LINE}" '
            'stroke-dasharray="5 4"/>')
        self.label(x + 10, y + 18, title)

    def label(self, x: int, y: int, text: str, *, anchor: str = "start") -> None:
        """Add small text; ``anchor`` is ``start``, ``middle`` or ``end``."""
        self._elements.append(f'<text x="{x}" y="{y}" font-size="12" text-anchor="{anchor}">{escape(text)}</text>')

    def arrow(self, *points: tuple[int, int], dashed: bool = False) -> None:
        """Add a line through ``points`` with a head at the last one."""
        path = "M" + "L".join(f"{x} {y}" for x, y in points)
        dash = ' stroke-dasharray="4 3"' if dashed else ""
        self._elements.append(
            f'<path d="{path}" stroke="{LINE}" stroke-width="1.5" fill="none"{dash} marker-end="url(#head)"/>')

    def dot(self, x: int, y: int) -> None:
        """Add a dot where one line leaves another."""
        self._elements.append(f'<circle cx="{x}" cy="{y}" r="3" fill="{LINE}"/>')

    def svg(self) -> str:
        """Return the picture as SVG text."""
        width, height = self.size
        head = (f'<marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
                f'orient="auto"><path d="M0 0L8 4L0 8Z" fill="{LINE}"/></marker>')
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" font-family="sans-serif" font-size="14" fill="{INK}" text-anchor="middle">',
            f"<title>{escape(self.title)}</title>", f"<defs>{head}</defs>",
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>', *self._elements, "</svg>", "",
        ])

    def write(self, source: str) -> Path:
        """Write the picture beside the module file ``source``, with the suffix ``.svg``, and return its path."""
        path = Path(source).with_suffix(".svg")
        path.write_text(self.svg(), encoding="utf-8")
        return path
