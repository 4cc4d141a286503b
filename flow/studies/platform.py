"""Platforms of the roofline study: what they compute and move at most, from the files in ``platforms/``."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitric.golden.errors import UserError

__all__ = ["FOLDER", "TENSORS", "Platform", "bound", "platform", "platform_names"]

FOLDER = Path(__file__).parent / "platforms"

TENSORS = ("weights", "activations")
"""What a platform may have to move between memory and arithmetic."""


@dataclass(frozen=True, kw_only=True)
class Platform:
    """Limits of a platform, one file ``NAME.toml``.

    Parameters
    ----------
    name, title, source : str
        ``source`` says where the figures are from.
    bandwidth : float
        Bytes per second of the memory.
    moves : tuple of str
        Which of :data:`TENSORS` come from and go to that memory.
    batches : tuple of int
        Images computed together.
    peaks : dict of float
        Operations per second, a multiply-accumulate being two, by ``(w_bits, a_bits)``.

    Raises
    ------
    ValueError
        A figure is not positive, or a name is unknown.
    """

    name: str
    title: str
    source: str
    bandwidth: float
    moves: tuple[str, ...]
    batches: tuple[int, ...]
    peaks: Mapping[tuple[int, int], float]

    def __post_init__(self):
        if not set(self.moves) <= set(TENSORS):
            raise ValueError(f"moves must be among {', '.join(TENSORS)}, not {', '.join(self.moves)}")
        if not self.peaks or min(self.bandwidth, *self.peaks.values(), *self.batches) <= 0:
            raise ValueError("bandwidth, batches and at least one peak must be positive")

    def peak(self, w_bits: int, a_bits: int) -> float | None:
        """Return the operations per second at a precision, None if there is no arithmetic that wide.

        Operands take the fastest arithmetic that is at least as wide as they are.
        """
        return max((rate for (w, a), rate in self.peaks.items() if w >= w_bits and a >= a_bits), default=None)


def bound(operations: float, moved: float, peak: float, bandwidth: float) -> str:
    """Return what limits a piece of work in the roofline model (Williams et al. 2009).

    Parameters
    ----------
    operations, moved : float
        Operations, and bytes between memory and arithmetic; their ratio is the arithmetic intensity.
    peak, bandwidth : float
        Operations and bytes per second; their ratio is the intensity of the ridge.

    Returns
    -------
    str
        ``"compute"`` above the ridge, ``"memory"`` below it, ``"ridge"`` where both take equally long.
    """
    computing, moving = operations * bandwidth, moved * peak  # both times peak * bandwidth
    return "ridge" if computing == moving else "compute" if computing > moving else "memory"


def platform_names() -> tuple[str, ...]:
    """Return the names of the platform files."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def platform(name: str, folder: Path = FOLDER) -> Platform:
    """Return the platform of a file; raise :exc:`UserError` naming it if it is missing or wrong."""
    path = Path(folder) / f"{name}.toml"
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        peaks = {(row["w_bits"], row["a_bits"]): float(row["operations"]) for row in values.pop("peaks")}
        lists = {key: tuple(values.pop(key)) for key in ("moves", "batches")}
        source = " ".join(values.pop("source").split())
        return Platform(name=name, source=source, peaks=peaks, **lists, **values)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except KeyError as error:
        raise UserError(f"{path} lacks {error.args[0]}") from error
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} is not a platform file: {error}") from error
