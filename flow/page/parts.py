"""What a page is made of: sections, and the parts of a section. How each looks is in ``templates/``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from bokeh.model import Model

__all__ = ["Facts", "Missing", "Note", "Part", "Picture", "Pictures", "Plot", "Section", "Table"]


@dataclass(frozen=True)
class Part:
    """One part of a section; ``kind`` names the piece of the template that shows it."""

    kind: ClassVar[str]


@dataclass(frozen=True)
class Facts(Part):
    """Names and values, a line each."""

    kind = "facts"
    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Table(Part):
    """A table; columns from ``numbers`` on are numbers. With ``search`` there is a field that hides rows."""

    kind = "table"
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    numbers: int = 1
    search: bool = False


@dataclass(frozen=True, kw_only=True)
class Plot(Part):
    """A plot of Bokeh's, and what is to be seen there."""

    kind = "plot"
    model: "Model"
    title: str
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Note(Part):
    """A sentence; ``tone`` is ``"good"``, ``"bad"`` or ``"plain"``."""

    kind = "note"
    text: str
    tone: str = "plain"


@dataclass(frozen=True, kw_only=True)
class Missing(Part):
    """What is not there, and the command that makes it."""

    kind = "missing"
    what: str
    command: str


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An image file (PNG) with lines of text; ``more`` is a second one, shown when it is asked for."""

    png: bytes
    lines: Sequence[str]
    tone: str = "plain"
    more: bytes | None = None
    more_text: str = ""


@dataclass(frozen=True, kw_only=True)
class Pictures(Part):
    """Pictures side by side."""

    kind = "pictures"
    pictures: Sequence[Picture]
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A section of a page: ``name`` is what links call it."""

    name: str
    title: str
    parts: Sequence[Part]
