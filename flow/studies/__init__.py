"""The studies of `vitric study`: experiments of the survey (arXiv 2405.00314), one file each, imported when used."""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from vitric.golden.errors import UserError

if TYPE_CHECKING:
    from .study import Study

__all__ = ["STUDIES", "study_named"]

STUDIES: Mapping[str, str] = MappingProxyType({
    "methods": "Every method at six bit widths: float, simulated and integer accuracy.",
    "calibration": "How many calibration images are enough.",
    "granularity": "Scales per layer, group or channel: accuracy beside hardware cost.",
    "sensitivity": "Which layer or unit loses the accuracy, and why.",
    "pruning": "Sparse weights and fewer heads, alone and both, with 4-bit quantization.",
    "roofline": "Which layers are bound by memory, on which platform, at which precision.",
    "gpu": "8-bit integers beside half precision on a GPU: latency and energy. Needs CUDA.",
    "precision": "What fewer bits buy on one part: six widths, placed and routed. Hours.",
})
"""Name, which is also that of the module with its ``STUDY``, and one line for ``vitric study --help``."""


def study_named(name: str) -> "Study":
    """Return the study called ``name``; raise :exc:`UserError` listing the names if there is none."""
    if name not in STUDIES:
        raise UserError(f"study must be one of {', '.join(STUDIES)}, not {name!r}")
    return import_module(f".{name}", __name__).STUDY
