"""Validation shared by every spec: the error names the parameter, the legal values and the offending one."""

import operator

__all__ = ["check_choice", "check_int", "check_power_of_two"]


def check_int(name: str, value: int, low: int, high: int) -> None:
    """Raise unless ``value`` is an integer with ``low <= value <= high``.

    Raises
    ------
    TypeError
        ``value`` is not an integer.
    ValueError
        ``value`` is out of range.
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer between {low} and {high}, not {value!r}") from None
    if not low <= number <= high:
        raise ValueError(f"{name} must be between {low} and {high}, not {value!r}")


def check_choice(name: str, value: object, choices: tuple) -> None:
    """Raise :exc:`ValueError` unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, not {value!r}")


def check_power_of_two(name: str, value: int, low: int, high: int) -> None:
    """Raise unless ``value`` is a power of two with ``low <= value <= high`` (errors as :func:`check_int`)."""
    check_int(name, value, low, high)
    if value & (value - 1):
        raise ValueError(f"{name} must be a power of two between {low} and {high}, not {value!r}")
