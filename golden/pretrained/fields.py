"""JSON files beside a checkpoint: what they say is honoured, or refused by the name of its field."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files import parse_json
from ..spec.check import check_choice

__all__ = ["Fields", "read_fields"]


@dataclass(frozen=True)
class Fields:
    """A JSON object whose fields are asked for by name and kind; a field that is ``null`` counts as absent.

    Parameters
    ----------
    values
        By name.
    where
        The file, and the object in it, for messages.
    """

    values: Mapping[str, Any]
    where: str

    def _wrong(self, name: str, legal: str) -> ValueError:
        return ValueError(f"{name} in {self.where} must be {legal}, not {self.values[name]!r}")

    def has(self, name: str) -> bool:
        """Return whether the field is there."""
        return self.values.get(name) is not None

    def choice(self, name: str, choices: tuple, usual: Any = None) -> Any:
        """Return one of ``choices``, or ``usual`` if the field is absent."""
        if not self.has(name):
            return usual
        check_choice(f"{name} in {self.where}", self.values[name], choices)
        return self.values[name]

    def integer(self, name: str) -> int | None:
        """Return an integer from 1 on."""
        value = self.values.get(name)
        if value is None:
            return None
        if type(value) is not int or value < 1:
            raise self._wrong(name, "an integer above 0")
        return value

    def number(self, name: str) -> float | None:
        """Return a number, an integer included."""
        value = self.values.get(name)
        if value is not None and type(value) not in (int, float):
            raise self._wrong(name, "a number")
        return value

    def numbers(self, name: str) -> tuple[float, ...] | None:
        """Return the numbers of a list; a single number is a list of one."""
        value = self.values.get(name)
        if value is None:
            return None
        listed = value if isinstance(value, list) else [value]
        if not listed or any(type(one) not in (int, float) for one in listed):
            raise self._wrong(name, "a list of numbers")
        return tuple(listed)

    def side(self, name: str) -> int | None:
        """Return the side of a square: an integer, a list, or an object of ``height`` and ``width`` that are equal."""
        value = self.values.get(name)
        if value is None:
            return None
        sides = list(value.values()) if isinstance(value, dict) and value.keys() == {"height", "width"} else value
        sides = sides if isinstance(sides, list) and sides else [value]
        if any(type(one) is not int or one < 1 for one in sides) or len(set(sides)) != 1:
            raise self._wrong(name, "the side of a square")
        return sides[0]

    def object(self, name: str) -> "Fields":
        """Return an object in the object; an empty one if it is absent."""
        value = self.values.get(name)
        if value is not None and not isinstance(value, dict):
            raise self._wrong(name, "an object")
        return Fields(value or {}, f"{name} of {self.where}")

    def names(self, name: str) -> tuple[str, ...] | None:
        """Return texts by number: a list, or an object with the keys "0", "1" and so on."""
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, dict):
            keys = [str(number) for number in range(len(value))]
            value = [value[key] for key in keys] if value.keys() == set(keys) else None
        if not isinstance(value, list) or not value or not all(isinstance(text, str) for text in value):
            raise self._wrong(name, "a list of texts, or an object with one for each number from 0 on")
        return tuple(value)


def read_fields(path: Path) -> Fields:
    """Return the object in a JSON file; an empty one if there is no such file.

    Raises
    ------
    ValueError
        The file cannot be read, or holds something else.
    """
    if not path.is_file():
        return Fields({}, str(path))
    try:
        values = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is not a JSON file: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} must hold a JSON object, not {type(values).__name__}")
    return Fields(values, str(path))
