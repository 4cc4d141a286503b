"""What the folder of a project holds: figures of its runs, and the models that they are of."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from vitric.toolchain.floorplan import FLOORPLAN

from ..inputs.checked import checked
from ..project.file import CONFIGS
from ..project.integer import integer_model
from ..project.project import Project

if TYPE_CHECKING:
    import torch
    from vitric.compiler.compile import Compiled
    from vitric.compiler.cycles import Prediction
    from vitric.compiler.plan import Planned
    from vitric.golden.integer import IntegerViT

    from ..project.images import TestImages

__all__ = ["Found"]

_SHOWN = 32  # images


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """A project and what was made of it so far.

    Attributes
    ----------
    project : Project
    name : str
        What commands call it.
    board : str, optional
        Board that was asked for instead of the project's.
    """

    project: Project
    name: str
    board: str | None = None

    def command(self, name: str) -> str:
        """Return a command for this project."""
        board = f" --board {self.board}" if self.board and name == "bitstream" else ""
        return f"vitric {name} --project {self.name}{board}"

    def _read(self, name: str) -> dict | None:
        path = self.project.build / name
        return checked(lambda: json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None

    @cached_property
    def quantized(self) -> dict | None:
        """Figures of `vitric quantize`."""
        return self._read("quantize.json")

    @cached_property
    def simulated(self) -> dict | None:
        """Figures of `vitric sim`."""
        return self._read("sim.json")

    @cached_property
    def sensitivity(self) -> list[dict]:
        """Records of `vitric study sensitivity` for the project's quantization; empty if it was not run."""
        project, info = self.project, self.model.info
        folder = project.build.parent if project.folder == CONFIGS else project.build
        path = folder / "studies" / f"sensitivity-{project.name}.json"
        if not path.is_file():
            return []
        records = checked(lambda: json.loads(path.read_text(encoding="utf-8")))
        return [one for one in records
                if all(str(one[name]) == info.get(name) for name in ("method", "w_bits", "a_bits"))]

    @cached_property
    def activity(self) -> dict:
        """What each engine did in the first image of the simulation."""
        return self._read("activity.json") or {"engines": [], "stretches": []}

    @cached_property
    def placed(self) -> dict | None:
        """Figures of `vitric bitstream` for the project's board."""
        return self._read(f"{self.project.settings.board.name}/report.json")

    @property
    def clock_mhz(self) -> float:
        """The clock of the bitstream, or the one that it would be made for."""
        return self.placed["clock_mhz"] if self.placed else self.project.clock_mhz

    @property
    def word_cycles(self) -> float:
        """Cycles of the accelerator per model word that the project's memory gives."""
        project = self.project
        if project.settings.board.memory != "sdram":
            return 1.0
        return project.board.sdram_spec(project.spec.model_bits).word_rate(round(1e6 * self.clock_mhz)).word_cycles

    @cached_property
    def floorplan(self) -> dict | None:
        """Where the cells of the design lie on the part, see :mod:`vitric.toolchain.floorplan`."""
        return self._read("/".join((self.project.settings.board.name, "work", FLOORPLAN)))

    @cached_property
    def model(self) -> "IntegerViT":
        """The integer model; quantized if it is not there."""
        return integer_model(self.project)

    @cached_property
    def compiled(self) -> "Compiled":
        """The model stream."""
        from vitric.compiler.compile import compile_model

        return compile_model(self.model, self.project.spec)

    @cached_property
    def plan(self) -> "Planned":
        """The plan that the stream was made by."""
        from vitric.compiler.plan import plan_model

        return plan_model(self.model, self.project.spec)

    @cached_property
    def prediction(self) -> "Prediction":
        """Cycles of an image by the cycle model."""
        return self.plan.prediction

    @cached_property
    def images(self) -> "TestImages":
        """Images that were simulated, or the first test images; at most 32."""
        from ..project.images import test_images

        sim = self.simulated
        if sim is not None:
            return test_images(self.project, min(sim["images"], _SHOWN), seed=sim["seed"])
        return test_images(self.project, 1 if self.project.data is None else _SHOWN, seed=1)

    @cached_property
    def golden(self) -> "tuple[torch.Tensor, dict[str, torch.Tensor]]":
        """Logits of the integer model for :attr:`images`, and its trace."""
        trace: dict[str, torch.Tensor] = {}
        return self.model(self.images.images, trace), trace

    @cached_property
    def float_logits(self) -> "torch.Tensor | None":
        """Logits of the float model for :attr:`images`; None if the weights are random."""
        import torch

        if self.project.weights is None:
            return None
        with torch.no_grad():
            return self.project.model(self.images.images)

    @property
    def rtl_logits(self) -> "torch.Tensor | None":
        """Logits of the generated hardware for :attr:`images`, as the simulation gave them."""
        import torch

        if self.simulated is None:
            return None
        return torch.tensor(self.simulated["logits"])[:len(self.images.images)]

    @cached_property
    def names(self) -> dict[int, str]:
        """What each command of the stream makes, by its index."""
        return {write.index: write.trace if write.head is None else f"{write.trace}[{write.head}]"
                for write in self.plan.tensors}
