"""What a study leaves behind: its records as JSON, a table in Markdown, a plot as SVG."""

import json
from collections.abc import Sequence
from pathlib import Path

from vitric.golden.files import write_json, write_text

from ..reports.plot import draw_svg
from .study import Record, Study, name_of

__all__ = ["load", "stem", "svg", "write"]


def stem(study: Study, config: str) -> str:
    """Return the name, without suffix, of the files about a network."""
    return f"{study.name}-{name_of(config)}" if study.measured else study.name


def write(study: Study, records: Sequence[Record], folder: Path, name: str) -> list[Path]:
    """Write ``folder/name.json``, ``.svg`` and ``.md`` and return their paths."""
    data, plot, page = (Path(folder) / f"{name}.{suffix}" for suffix in ("json", "svg", "md"))
    write_json(data, list(records))
    write_text(plot, svg(study, records))
    write_text(page, f"# {study.title}\n\n{study.table(records)}\n![{study.title}]({plot.name})\n")
    return [data, plot, page]


def svg(study: Study, records: Sequence[Record]) -> str:
    """Return the plot of a study."""
    return draw_svg(lambda figure: study.plot(figure, records), study.size)


def load(study: Study, folder: Path) -> dict[str, list[Record]]:
    """Return the records that a folder holds for a study: by the stem of the file, in the order of the names."""
    pattern = f"{study.name}-*.json" if study.measured else f"{study.name}.json"
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(Path(folder).glob(pattern))}
