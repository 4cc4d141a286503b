"""A project whose folder holds what a test says, without the runs that make it."""

import json
from dataclasses import replace
from pathlib import Path

from vitric.flow.page.found import Found
from vitric.flow.page.parts import Section
from vitric.flow.project.project import open_project

__all__ = ["found_in", "texts"]


def found_in(folder: Path, name: str = "tiny", **files: dict) -> Found:
    """Return the built-in project ``name`` with ``files`` in its folder; ``sim={…}`` is ``sim.json``."""
    for stem, content in files.items():
        path = folder / f"{stem}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    return Found(project=replace(open_project(name), build=folder), name=name)


def texts(section: Section) -> list[tuple[str, str]]:
    """Return kind and text of each note, and what and command of each part that is missing."""
    return [(part.tone, part.text) if part.kind == "note" else (part.command, part.what)
            for part in section.parts if part.kind in ("note", "missing")]
