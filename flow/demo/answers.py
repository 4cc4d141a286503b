"""What the page is told of an image: class, logits, whether they are golden's, time, attention, engines."""

from base64 import b64encode
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ..page.images import attention_png, image_png
from ..project.pictures import label_of
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
        found = machine.run(image)
        trace: dict[str, torch.Tensor] = {}
        golden = self.model(image[None], trace)[0]
        equal = found.logits == golden.tolist()
        compared = differ = None
        if found.records is not None:
            result = self.compiled.compare(trace, 0, **found.records)
            compared, differ = result.compared, result.failures
        return {
            "best": self._best(found.logits), "golden": label_of(self.project.labels, int(golden.argmax())),
            "equal": equal and not differ, "compared": compared, "differ": differ, "machine": machine.title,
            "cycles": found.cycles, "microseconds": round(found.cycles / self.clock_mhz, 1),
            "clock_mhz": self.clock_mhz, "notes": notes, "seen": _uri(image_png(image)),
            "attention": _uri(attention_png(trace, 0, self.project.vit)), "engines": self._engines(found.activity),
        }

    def _best(self, logits: list[int]) -> list[dict]:
        import torch

        values, scale = torch.tensor(logits), self.model.info.get("logit_scale")
        shares = None if scale is None else (values.double() * float(scale)).softmax(0).tolist()
        order = values.argsort(descending=True, stable=True).tolist()[:_BEST]
        return [{"class": index, "label": label_of(self.project.labels, index), "logit": logits[index],
                 "probability": None if shares is None else round(shares[index], 4)} for index in order]

    def _engines(self, activity: list | None) -> dict | None:
        """Return the names of engines and of what commands make, and the stretches."""
        from vitric.golden.tensors import short_name
        from vitric.hdl.accelerator.core import ENGINES

        if activity is None:
            return None
        kinds = {write.index: short_name(write.trace) for write in self.compiled.tensors}
        return {"names": list(ENGINES), "stretches": [
            [engine, kinds.get(command, "end"), begin, end] for engine, command, begin, end, _ in activity]}


def _uri(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode()}"
