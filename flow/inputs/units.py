"""A unit and its parameters as a user writes them."""

from collections.abc import Mapping, Sequence

from vitric.golden.errors import UserError
from vitric.hdl.units import UNITS, Unit

__all__ = ["find_unit", "make_unit", "parse_settings"]


def find_unit(name: str) -> Unit:
    """Return the unit called ``name``; raise :exc:`UserError` that lists the legal names if there is none."""
    if name not in UNITS:
        raise UserError(f"unit must be one of {', '.join(UNITS)}, not {name!r}")
    return UNITS[name]


def _parse_int(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:
        return text  # the spec's own check says what is legal


def parse_settings(unit: Unit, texts: Sequence[str]) -> dict[str, object]:
    """Return parameters from texts ``name=value``; a later one replaces an earlier one of the same name.

    Tuples are written with commas: ``shifts=0,4``.

    Raises
    ------
    UserError
        A text without ``=``, an unknown parameter, or a value that the spec refuses.
    """
    settings: dict[str, object] = {}
    try:
        for text in texts:
            name, equals, value = text.partition("=")
            if not equals:
                raise UserError(f"--set must be name=value, not {text!r}; the names are {', '.join(unit.parameters)}")
            unit.check_names([name])
            kind = unit.parameters[name]
            if kind is str:
                settings[name] = value
            elif getattr(kind, "__origin__", None) is tuple:
                settings[name] = tuple(_parse_int(part) for part in value.split(","))
            else:
                settings[name] = _parse_int(value)
        unit.values(settings)
    except ValueError as error:
        raise UserError(str(error)) from error
    return settings


def make_unit(unit: Unit, settings: Mapping[str, object], fabric: str = "generic") -> tuple[dict[str, object], object]:
    """Return the value of every parameter, and a new component; as :class:`~vitric.hdl.units.Unit` does.

    Raises
    ------
    UserError
        An unknown parameter, or a value that is not legal.
    """
    try:
        return unit.values(settings), unit.make(settings, fabric)
    except ValueError as error:
        raise UserError(str(error)) from error
