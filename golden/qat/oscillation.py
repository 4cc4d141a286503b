"""Weights that swing between two codes: found and frozen.

A latent weight near the middle between two codes crosses it back and forth as long as it is trained, because each code
is too far on its own side. Such weights disturb what the others learn (Nagel et al. 2022; OFQ, Liu et al. 2023).
"""

from dataclasses import dataclass

import torch

__all__ = ["Freezer"]


@dataclass(eq=False)
class _State:
    codes: torch.Tensor  # of the last step
    direction: torch.Tensor  # of each weight's last change: -1, 0 (none yet), 1
    frequency: torch.Tensor  # running mean of changes that take the last one back
    mean: torch.Tensor  # running mean of the codes
    frozen: torch.Tensor  # bool


class Freezer:
    """Iterative weight freezing (Nagel et al. 2022, algorithm 1).

    A change of a code against its last change is an oscillation; a weight whose share of oscillating steps, a running
    mean, exceeds :attr:`threshold` keeps from then on the code that it had most of the time.

    Parameters
    ----------
    momentum : float
        Weight of one step in the running means, above 0 and below 1.

    Attributes
    ----------
    threshold : float
        Share of steps; 1 or more freezes nothing. Lowered in the course of training.
    """

    def __init__(self, momentum: float = 0.02):
        if not 0 < momentum < 1:
            raise ValueError(f"momentum must be above 0 and below 1, not {momentum!r}")
        self.momentum, self.threshold = momentum, 1.0
        self._states: dict[str, _State] = {}

    def __deepcopy__(self, memo: dict) -> "Freezer":
        """Return the same freezer: a model and the running average of its weights share what is frozen."""
        return self

    def __call__(self, name: str, codes: torch.Tensor, *, learning: bool) -> torch.Tensor:
        """Return ``codes`` with those of frozen weights replaced.

        Parameters
        ----------
        name : str
            Of the layer.
        codes : int64 tensor
            Of all its weights.
        learning : bool
            This is a step of training, which counts.
        """
        state = self._states.get(name)
        if state is None:
            if learning:
                self._states[name] = _State(codes, torch.zeros_like(codes, dtype=torch.int8),
                                            torch.zeros(codes.shape), codes.to(torch.float32),
                                            torch.zeros_like(codes, dtype=torch.bool))
            return codes
        codes = torch.where(state.frozen, state.codes, codes)
        if not learning:
            return codes
        direction = (codes - state.codes).sign().to(torch.int8)
        state.frequency.lerp_((direction * state.direction < 0).to(torch.float32), self.momentum)
        state.mean.lerp_(codes.to(torch.float32), self.momentum)
        state.direction = torch.where(direction == 0, state.direction, direction)
        usual = torch.where((state.mean - codes).abs() <= (state.mean - state.codes).abs(), codes, state.codes)
        new = (state.frequency > self.threshold) & ~state.frozen
        state.codes = torch.where(new, usual, codes)
        state.frozen |= new
        return state.codes

    def live(self, name: str) -> torch.Tensor | None:
        """Return which weights of a layer are not frozen; ``None`` if the layer has not been seen."""
        state = self._states.get(name)
        return None if state is None else ~state.frozen

    def share(self) -> float:
        """Return the share of weights that are frozen, 0 to 1."""
        total = sum(state.frozen.numel() for state in self._states.values())
        return sum(int(state.frozen.sum()) for state in self._states.values()) / total if total else 0.0
