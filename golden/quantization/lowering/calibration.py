"""The float model on the calibration images, a block at a time: a large model needs hardly more memory than one block.

Kept are the input of every block and, if errors are weighted, one number per element of the tensors that codes are
chosen for. Everything else is computed again when its block is lowered.
"""

from collections import defaultdict
from collections.abc import Callable

import torch

from ...tensors import LINEARS, TENSORS
from ...vit import VisionTransformer
from .sensitivity import Sensitivities

__all__ = ["Calibration", "Progress", "TARGETS"]

Progress = Callable[[str, int, int], None]
"""Called with the name of a part of the work, how many steps of it are done, and how many there are."""

TARGETS = {tensor.tap: tensor for tensor in TENSORS if tensor.block and tensor.kind in (
    "queries", "keys", "values", "context", "index", "residual")}
"""Tensors of a block that integer layers are compared with, by their taps in it."""

_RESIDUAL = [tensor for tensor in TENSORS if tensor.kind == "residual"]
_STREAM = {tensor.tap for tensor in _RESIDUAL} | {
    layer.tap for layer in LINEARS if layer.output in {tensor.name for tensor in _RESIDUAL}}  # and what is added to it
_OUTSIDE = ("patch_embed", "pre_proj", "head")  # taps of what is kept beside the blocks
_BEFORE = ("patch_embed", "tokens")  # taps of the stream before ``pre_proj``, which replaces it
_CHUNK = 1 << 26  # elements of the tensors that are computed together


class Calibration:
    """Tensors of the float model for the calibration images, of the type of its weights.

    Parameters
    ----------
    model : VisionTransformer
    images : integer tensor (B, C, H, W)
    sensitivities : Sensitivities, optional
        Without them all elements count the same.

    Attributes
    ----------
    largest : float
        Largest magnitude in the residual stream and of what is added to it.
    largest_before : float
        The same of the stream that ``pre_proj`` replaces; without ``pre_norm`` they are one.
    patch_embed, pre_proj, head : tensors (B, N, E), (B, T, E), (B, classes)
        The tapped tensors of these names; ``pre_proj`` only with ``pre_norm``.
    """

    def __init__(self, model: VisionTransformer, images: torch.Tensor, sensitivities: Sensitivities | None = None):
        self.model, self.images, self.sensitivities = model, images, sensitivities
        self.largest, self.largest_before = 0.0, float(model.pos_embed.detach().abs().max())
        self._chunk = max(1, _CHUNK // model.config.block_elements)
        self._forward()

    @torch.no_grad()
    def _forward(self) -> None:
        kept = defaultdict(list)

        def tap(name, x):
            if name in _BEFORE:
                self.largest_before = max(self.largest_before, float(x.abs().max()))
            elif name in _STREAM:
                self.largest = max(self.largest, float(x.abs().max()))
            if name in _OUTSIDE:
                kept[name].append(x)
            return x

        inputs = [[] for _ in self.model.blocks]
        for part in self.images.split(self._chunk):
            x = self.model.embed(self.model.normalize(part), tap)
            for found, block in zip(inputs, self.model.blocks, strict=True):
                found.append(x)
                x = block(x, tap)
            self.model.classify(x, tap)
        self._inputs = [torch.cat(parts) for parts in inputs]
        if not self.model.config.pre_norm:
            self.largest = self.largest_before = max(self.largest, self.largest_before)
        for name, parts in kept.items():
            setattr(self, name, torch.cat(parts))

    @torch.no_grad()
    def block(self, index: int) -> dict[str, torch.Tensor]:
        """Return the tensors :data:`TARGETS` of a block (B, T, N), by their names below it in a trace."""
        found = defaultdict(list)

        def tap(name, x):
            if (target := TARGETS.get(name)) is not None:
                found[target.name].append(target.to_trace(x, self.model.config.num_head_tokens))
            return x

        for x in self._inputs[index].split(self._chunk):
            self.model.blocks[index](x, tap)
        return {name: torch.cat(parts) for name, parts in found.items()}

    def importance(self, name: str, shape: torch.Size) -> torch.Tensor:
        """Return how much each element of a tensor matters, float64.

        ``shape`` is (B, T, N), or (B, T, 1) where the channels' mean is enough; queries, keys and values have their
        heads side by side.
        """
        if self.sensitivities is None:
            return torch.ones((), dtype=torch.float64).expand(shape)
        return self.sensitivities(name).reshape(shape)
