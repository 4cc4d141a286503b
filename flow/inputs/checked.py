"""Errors of libraries as errors of the user."""

from collections.abc import Callable
from typing import Any

from vitric.golden.errors import UserError

__all__ = ["checked"]


def checked(call: Callable) -> Any:
    """Return what ``call`` returns; errors of values and files become :exc:`UserError`."""
    try:
        return call()
    except (TypeError, ValueError, OSError) as error:
        raise UserError(str(error)) from error
