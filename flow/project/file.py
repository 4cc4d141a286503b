"""Reading a project's file, and finding it: errors are one line that names file, key and legal values."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitric.golden.errors import UserError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from .schema import ProjectFile

__all__ = ["CONFIGS", "FILE", "change_file", "config_names", "find_file", "read_file"]

FILE = "vitric.toml"
"""Name of the file in a project's folder."""

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
"""Folder of the built-in projects, ``configs/<name>.toml``."""

_DEFAULT = "digits"
_SIZE_MAX = 1 << 20  # bytes; a project's file has some hundreds


def config_names() -> tuple[str, ...]:
    """Return the names of the built-in projects."""
    return tuple(sorted(path.stem for path in CONFIGS.glob("*.toml")))


def find_file(project: str | Path | None) -> Path:
    """Return the file of a project.

    Parameters
    ----------
    project
        Name of a built-in project, a project's folder, or its file. ``None``: ``vitric.toml`` in the current folder if
        there is one, else the built-in project ``digits``.

    Raises
    ------
    UserError
        It is none of them; the message lists the names.
    """
    if project is None:
        return Path(FILE) if Path(FILE).is_file() else CONFIGS / f"{_DEFAULT}.toml"
    if str(project) in config_names():
        return CONFIGS / f"{project}.toml"
    path = Path(project)
    if (path / FILE).is_file():
        return path / FILE
    if path.is_file():
        return path
    raise UserError(f"--project must be one of {', '.join(config_names())}, a folder with a {FILE}, or such a file, "
                    f"not {str(project)!r}")


def read_file(path: Path) -> "ProjectFile":
    """Return what a project's file says, checked.

    Raises
    ------
    UserError
        It cannot be read, is no TOML, or has an unknown key or an illegal value: the message names file, key, what is
        legal and what was found.
    """
    from pydantic import ValidationError

    from .schema import ProjectFile

    try:
        if path.stat().st_size > _SIZE_MAX:
            raise UserError(f"{path} must be a project's file of at most {_SIZE_MAX} bytes, not {path.stat().st_size}")
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"cannot read the project's file {path}: {error}") from error
    try:
        return ProjectFile.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{path}: {_told(error.errors()[0], ProjectFile)}") from error


def change_file(settings: "ProjectFile", changes: Mapping[str, Mapping[str, Any]]) -> "ProjectFile":
    """Return settings with other values, section by section; another accelerator replaces the whole section.

    Raises
    ------
    UserError
        A value is illegal: the message names section and key.
    """
    from pydantic import ValidationError

    from .schema import ProjectFile

    values = settings.model_dump(exclude_none=True, exclude_unset=True)
    for section, keys in changes.items():
        values[section] = keys if section == "accelerator" else values.get(section, {}) | keys
    try:
        return ProjectFile.model_validate(values)
    except ValidationError as error:
        raise UserError(_told(error.errors()[0], ProjectFile)) from error


def _told(error: dict, kind: "type[BaseModel]") -> str:
    """Return the first error of a validation as one line."""
    *section, key = error["loc"] or ("",)
    where = f"[{'.'.join(map(str, section))}] {key}" if section else f"[{key}]" if key else "the file"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        legal = f"keys of [{'.'.join(section)}]" if section else "sections"
        return f"{where} is unknown; {legal} are {', '.join(_keys(kind, section))}"
    if error["type"] == "value_error":
        return f"{where} {message}" if message.startswith("needs ") else f"{where}: {message}"
    if error["type"] == "model_type":
        return f"{where} must be a table, not {error['input']!r}"
    return f"{where}: {message.replace('Input should be', 'must be')}, not {error['input']!r}"


def _keys(kind: "type[BaseModel]", section: list) -> list[str]:
    """Return the legal keys of a section."""
    from typing import get_args

    for name in section:
        annotation = kind.model_fields[name].annotation
        kind = next(part for part in (annotation, *get_args(annotation)) if hasattr(part, "model_fields"))
    return list(kind.model_fields)
