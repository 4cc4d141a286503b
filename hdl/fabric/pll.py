"""The clock generators of the families: one function that finds the settings of any."""

from .ehxplll import EhxpllSettings, ehxpll_settings
from .rpll import RpllSettings, rpll_settings

__all__ = ["PllSettings", "pll_settings"]

PllSettings = EhxpllSettings | RpllSettings
"""Dividers of one PLL; ``instance`` makes the cell, ``phase_steps`` are the parts of a turn that it shifts by."""

_SETTINGS = {"ecp5": ehxpll_settings, "gowin": rpll_settings}


def pll_settings(fabric: str, input_mhz: float, output_mhz: float, **part) -> PllSettings:
    """Return the settings that come nearest to ``output_mhz`` in a family of parts.

    Parameters
    ----------
    fabric : {"ecp5", "gowin"}
    input_mhz, output_mhz : float
    **part
        What else the family's own function takes: what differs from part to part.

    Raises
    ------
    ValueError
        A frequency is out of range.
    """
    return _SETTINGS[fabric](input_mhz, output_mhz, **part)
