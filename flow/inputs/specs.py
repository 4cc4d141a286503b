"""Accelerator specs by name."""

from typing import TYPE_CHECKING

from vitric.golden.errors import UserError

if TYPE_CHECKING:
    from vitric.golden.spec.accelerator import AcceleratorSpec

__all__ = ["named_spec"]


def named_spec(name: str, option: str = "--spec") -> "AcceleratorSpec":
    """Return the named accelerator spec; :exc:`UserError` names ``option`` and lists the names if there is none."""
    from vitric.golden.spec.accelerator import SPECS

    if name not in SPECS:
        raise UserError(f"{option} must be one of {', '.join(SPECS)}, not {name!r}")
    return SPECS[name]
