"""What the page is told of an image: class, logits, whether they are golden's, time, attention, engines."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ..page.images import attention_png, image_png
from ..page.render import png_uri
from ..project.pictures import label_of, likely
from .machines import Machine

if TYPE_CHECKING:
    import torch
    from vitric.compiler.compile import Compiled
    from vitric.golden.integer import IntegerViT

    from ..project.project import Project

__all__ = ["Answers"]

_BEST = 10  # classes


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """A project with its model, to answer for.

    Attributes
    ----------
    project : Project
    model : IntegerViT
    compiled : Compiled
    clock_mhz : float
        What cycles are told in time by.
    """

    project: "Project"
    model: "IntegerViT"
    compiled: "Compiled"
    clock_mhz: float

    @cached_property
    def cycles(self) -> int:
        """Cycles of an image by the cycle model."""
        from vitric.compiler.cycles import predict

        return predict(self.compiled.stream.commands(), self.compiled.spec).cycles

    def answer(self, machine: Machine, image: "torch.Tensor", notes: list[str]) -> dict:
        """Run an image, uint8 [C, H, W], in the machine and in golden; return plain JSON types."""
        import torch

        found = machine.run(image)
        trace: dict[str, torch.Tensor] = {}
        golden = self.model(image[None], trace)[0]
        equal = found.logits == golden.tolist()
        compared = differ = None
        if found.records is not None:
            result = self.compiled.compare(trace, 0, **found.records)
            compared, differ = result.compared, result.failures
        return {
            "best": likely(torch.tensor(found.logits), self.model, self.project.labels, _BEST),
            "golden": label_of(self.project.labels, int(golden.argmax())),
            "equal": equal and not differ, "compared": compared, "differ": differ, "machine": machine.title,
            "cycles": found.cycles, "microseconds": round(found.cycles / self.clock_mhz, 1),
            "clock_mhz": self.clock_mhz, "notes": notes, "seen": png_uri(image_png(image)),
            "attention": png_uri(attention_png(trace, 0, self.project.vit)), "engines": self._engines(found.activity),
        }

    def _engines(self, activity: list | None) -> dict | None:
        """Return the names of engines and of what commands make, and the stretches."""
        from vitric.golden.tensors import short_name
        from vitric.hdl.accelerator.tap import ENGINES

        if activity is None:
            return None
        kinds = {write.index: short_name(write.trace) for write in self.compiled.tensors}
        return {"names": list(ENGINES), "stretches": [
            [engine, kinds.get(command, "end"), begin, end] for engine, command, begin, end, _ in activity]}
