"""An accelerator that was chosen, in the file of its project."""

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from vitric.golden.errors import UserError
from vitric.golden.files import write_text

from ..inputs.options import check_output
from ..project.file import CONFIGS, find_file

if TYPE_CHECKING:
    from vitric.golden.spec.accelerator import AcceleratorSpec

__all__ = ["accelerator_table", "writable_file", "write_accelerator"]


def accelerator_table(spec: "AcceleratorSpec", why: str):
    """Return the table ``[accelerator]`` of a project's file: ``why``, then every parameter but the name."""
    import tomlkit

    table = tomlkit.table()
    table["why"] = why
    for field in fields(spec):
        if field.name != "name":
            table[field.name] = getattr(spec, field.name)
    return table


def writable_file(project: str | Path | None) -> Path:
    """Return the file of a project; raise :exc:`UserError` if it is built in or cannot be written."""
    file = find_file(project)
    if file.parent == CONFIGS:
        raise UserError(f"{file.stem} is built in and not changed; make a project of your own with `vitric init`")
    return check_output(file)


def write_accelerator(file: Path, spec: "AcceleratorSpec", why: str) -> None:
    """Replace the table ``[accelerator]`` of a project's file; everything else in it stays as it is."""
    import tomlkit

    document = tomlkit.parse(file.read_text(encoding="utf-8"))
    document["accelerator"] = accelerator_table(spec, why)
    write_text(file, tomlkit.dumps(document))
