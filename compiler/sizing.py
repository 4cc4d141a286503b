"""Memories exactly as large as a model needs: an accelerator's shape becomes a spec."""

from collections.abc import Sequence
from dataclasses import replace

from vitric.golden.integer import IntegerViT
from vitric.golden.quantization.settings import Settings
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import Flag, Opcode
from vitric.golden.spec.vit import VitConfig

from .capacity import blank_model
from .decode import Command
from .layout import ceil_div
from .plan import Planned, plan_model

__all__ = ["sized_plan", "sized_spec"]

_WORDS_MAX = 1 << 16  # of activation and residual memory
_RING_MAX = 1 << 15


def _power_of_two(words: int) -> int:
    """Return the smallest power of two that is at least ``words``, and at least 2."""
    return 1 << max(words - 1, 1).bit_length()


def _ring_words(commands: Sequence[Command], sets: int) -> tuple[int, int]:
    """Return the words of the weight and the channel ring that hold ``sets`` sets of a stream's commands."""
    weights = channels = 0
    for command in commands:
        fields = command.fields
        if command.opcode is Opcode.NORM:
            channels = max(channels, fields["columns"])
        elif command.opcode is Opcode.MATMUL:
            keys = Flag.KEY_BIAS in command.flags
            values = Flag.WEIGHTS_ACT in command.flags and not keys
            set_words = fields["tile_words"] if values else fields["set_words"]  # the compiler makes sets of values fit
            weights = max(weights, set_words if keys else sets * set_words)
            tiles = 1 if values else fields["set_tiles"]
            channels = max(channels, fields["columns"] // fields["set_tiles"] * tiles)
    return weights, channels


def sized_plan(shape: AcceleratorSpec, model: IntegerViT, *, name: str, sets: int = 2) -> Planned:
    """Plan a model for ``shape`` with capacities as small as they can be: see :func:`sized_spec`.

    ``model`` may be one of zeros, :func:`~vitric.compiler.blank.blank_integer_vit`.
    """
    config = model.config
    loose = replace(
        shape, name=name, max_tokens=max(2, config.num_tokens), max_embed=max(2, config.embed_dim),
        max_classes=config.num_classes, act_words=_WORDS_MAX, residual_words=_WORDS_MAX, weight_words=_RING_MAX,
        channel_words=_RING_MAX)
    weights, channels = _ring_words(plan_model(model, loose).commands, sets)
    columns = ceil_div(config.embed_dim, shape.cols) * shape.cols
    rings = replace(
        loose, weight_words=_power_of_two(weights), channel_words=_power_of_two(channels),
        residual_words=ceil_div(config.num_tokens, shape.rows) * columns)
    plan = plan_model(model, rings)
    return replace(plan, spec=replace(rings, act_words=max(2, plan.act_words)))


def sized_spec(
    shape: AcceleratorSpec, config: VitConfig, settings: Settings, *, name: str, sets: int = 2,
) -> AcceleratorSpec:
    """Return ``shape`` with capacities for one model, as small as they can be.

    Parameters
    ----------
    shape : AcceleratorSpec
        Gives array, ports, accumulators and mapping.
    config : VitConfig
        The network.
    settings : Settings
        Its quantization; ``settings.spec`` must have the arithmetic of ``shape``.
    name : str
        Of the result.
    sets : int
        Sets of weights that the weight ring holds: 2, so that one is loaded while another one is used, or 1.

    Returns
    -------
    AcceleratorSpec
        The model fits it. Activation memory holds two buffers of probabilities; rings are powers of two.

    Raises
    ------
    CompileError, ValueError
        Not even the largest memories hold the model, or the arithmetic cannot.
    """
    return sized_plan(shape, blank_model(config, shape, settings), name=name, sets=sets).spec
