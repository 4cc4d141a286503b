"""What a model becomes on an accelerator, known before any of its operands is made.

Sizes and cycles depend on dimensions and widths alone: a plan of a model of zeros is that of any model of its kind.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from vitric.golden.integer import IntegerViT
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import COMMAND_FIELDS, HEADER_FIELDS, Opcode
from vitric.golden.spec.word_rate import EVERY_CYCLE, WordRate

from .compare import TensorWrite
from .cycles import Prediction, predict
from .decode import Command
from .layout import Address, Buffer, CompileError, Misfit, allocate
from .lower import lower
from .operands import block_words, operand_words
from .steps import Step
from .stream import check_fields

__all__ = ["Planned", "plan_model"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Planned:
    """The commands of a model for one accelerator, and what they take.

    Attributes
    ----------
    spec : AcceleratorSpec
    commands : list of Command
        Of the stream, END included: their fields and their places, no operands.
    steps : list of Step
        Of all commands but END; they make the operands.
    tensors : list of TensorWrite
        What each of these writes.
    buffers : list of Buffer
        Pieces of activation memory, each alive between two commands.
    act_words : int
        Words of activation memory that the model takes.
    rows : int64 array (T,)
        Row that each token has: :func:`~vitric.compiler.lower.token_rows`.
    """

    spec: AcceleratorSpec
    commands: list[Command]
    steps: list[Step]
    tensors: list[TensorWrite]
    buffers: list[Buffer]
    act_words: int
    rows: np.ndarray

    @property
    def words(self) -> int:
        """Model words of the stream."""
        return self.commands[-1].position + self.commands[-1].words

    @cached_property
    def prediction(self) -> Prediction:
        """Cycles of one image, a model word in each cycle."""
        return self.predict()

    def predict(self, rate: WordRate = EVERY_CYCLE) -> Prediction:
        """Return the cycles of one image, its model words coming at a rate."""
        return predict(self.commands, self.spec, rate)

    def on(self, spec: AcceleratorSpec) -> "Planned":
        """Return the plan for a spec that differs in ``model_bits`` and ``drain_cols`` alone: no step depends on them.

        The capacities of ``spec`` are not checked.
        """
        return replace(self, spec=spec, commands=_place([command.fields for command in self.commands], spec))


def _place(fields: Sequence[dict[str, int]], spec: AcceleratorSpec) -> list[Command]:
    """Return commands one after another in a stream."""
    position, block, commands = block_words(HEADER_FIELDS, spec), block_words(COMMAND_FIELDS, spec), []
    for own in fields:
        words = block + operand_words(own, spec)
        commands.append(Command(fields=own, position=position, words=words))
        position += words
    return commands


def plan_model(model: IntegerViT, spec: AcceleratorSpec) -> Planned:
    """Plan ``model`` for the accelerator ``spec``.

    Two probability buffers are used if they fit (the softmax of a head then overlaps the products of its
    neighbours), else one; and the first LayerNorm begins beside the product on the image if there is room for both.

    Raises
    ------
    CompileError
        The model does not fit; the error lists every capacity, what is needed and what there is.
    """
    for probability_buffers, image_waits in ((2, False), (2, True), (1, False), (1, True)):
        plan = lower(model, spec, probability_buffers, image_waits)
        if plan.misfits:
            raise CompileError(spec, plan.misfits)
        act_words = allocate(plan.buffers)
        if act_words <= spec.act_words:
            break
    else:
        raise CompileError(spec, [Misfit("act_words", act_words, spec.act_words, "activation memory")])

    def resolve(value):
        return value.buffer.base + value.offset if isinstance(value, Address) else int(value)

    fields, tensors = [], []
    for index, step in enumerate(plan.steps, start=1):
        own = {name: resolve(value) for name, value in step.fields.items()}
        try:
            check_fields(own, index)
        except ValueError as error:
            raise CompileError(spec, [Misfit("16-bit fields", str(error), "16 bits", step.write.trace)]) from None
        fields.append({**dict.fromkeys(COMMAND_FIELDS, 0), **own, "index": index})
        tensors.append(replace(step.write, base=resolve(step.base)))
    fields.append({**dict.fromkeys(COMMAND_FIELDS, 0), "opcode": int(Opcode.END), "index": len(fields) + 1})
    return Planned(spec=spec, commands=_place(fields, spec), steps=plan.steps, tensors=tensors,
                   buffers=plan.buffers, act_words=act_words, rows=plan.rows)
