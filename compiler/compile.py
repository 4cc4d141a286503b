"""An integer ViT becomes a model stream: the commands of its plan, with their operands.

``docs/model-stream.md`` describes the layouts, the paddings and the order of commands.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from vitric.golden.data.images import check_images
from vitric.golden.integer import IntegerViT, patchify
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import LIMIT_MAX
from vitric.golden.spec.vit import VitConfig

from .compare import Comparison, TensorWrite, compare
from .layout import CompileError, Misfit, ceil_div
from .plan import Planned, plan_model
from .stream import ModelStream, StreamWriter

__all__ = ["CompileError", "Compiled", "compile_model"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Compiled:
    """A model stream, and what is needed to feed the accelerator and to check it.

    Attributes
    ----------
    stream : ModelStream
    config : VitConfig
        Of the network.
    tensors : list of TensorWrite
        What each command writes, in stream order (all but END).
    act_words : int
        Words of activation memory that the model takes.
    rows : int64 array (T,)
        Row that each token has: :func:`~vitric.compiler.lower.token_rows`.
    """

    stream: ModelStream
    config: VitConfig
    tensors: list[TensorWrite]
    act_words: int
    rows: np.ndarray

    @property
    def spec(self) -> AcceleratorSpec:
        """What the stream was compiled for."""
        return self.stream.spec

    def input_words(self, images: torch.Tensor) -> np.ndarray:
        """Return the columns of the input port, uint8 (images, columns, rows).

        For row group g, for channel k of the patch: the pixel codes of rows ``g * rows`` to ``g * rows + rows - 1``;
        the class token, the distillation token and padded rows are zero. ``last`` belongs to the final column of each
        image.

        Raises
        ------
        ValueError, TypeError
            The images do not fit the network.
        """
        check_images(images, self.config)
        pixels = patchify(images, self.config).numpy()  # (B, T, K)
        count, tokens, channels = pixels.shape
        groups = ceil_div(tokens, self.spec.rows)
        padded = np.zeros((count, groups * self.spec.rows, channels), dtype=np.uint8)
        padded[:, self.rows] = pixels
        columns = padded.reshape(count, groups, self.spec.rows, channels).swapaxes(2, 3)
        return np.ascontiguousarray(columns.reshape(count, groups * channels, self.spec.rows))

    def compare(self, trace: Mapping[str, torch.Tensor], image: int, *, act: np.ndarray, residual: np.ndarray,
                logits: np.ndarray, limit: int = 20) -> Comparison:
        """Compare the debug tap of one inference with the golden trace: :func:`vitric.compiler.compare.compare`."""
        return compare(self.tensors, self.spec, trace, image, act=act, residual=residual, logits=logits, limit=limit)


def _limit(plan: Planned) -> int:
    """Return the binary logarithm of the cycles that a stream may take: at least twice as many as predicted."""
    cycles = 2 * plan.prediction.cycles
    if cycles > 1 << LIMIT_MAX:
        raise CompileError(plan.spec, [Misfit("cycles", cycles, 1 << LIMIT_MAX, "twice the prediction for one image")])
    return (cycles - 1).bit_length()


def compile_model(model: IntegerViT, spec: AcceleratorSpec) -> Compiled:
    """Compile ``model`` for the accelerator ``spec``, as :func:`~vitric.compiler.plan.plan_model` plans it.

    Raises
    ------
    CompileError
        The model does not fit; the error lists every capacity, what is needed and what there is.
    """
    plan = plan_model(model, spec)
    limit, writer = _limit(plan), StreamWriter(spec)
    for command, step in zip(plan.commands[:-1], plan.steps, strict=True):  # behind them END
        writer.command(command.fields, step.operands())
    return Compiled(stream=writer.finish(limit), config=model.config, tensors=plan.tensors, act_words=plan.act_words,
                    rows=plan.rows)
