"""Who computes: the generated hardware under Verilator, or a board."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from vitric.golden.errors import UserError

if TYPE_CHECKING:
    import torch
    from vitric.compiler.compile import Compiled

    from ..project.project import Project

__all__ = ["Computed", "Machine", "board_machine", "simulated_machine"]


@dataclass(frozen=True, kw_only=True)
class Computed:
    """What a machine made of an image.

    Attributes
    ----------
    logits : list of int
    cycles : int
    records : dict or None
        Every value that was written, as ``Compiled.compare`` takes them; None from a board.
    activity : list or None
        Stretches ``(engine, command, begin, end, active)``; None from a board.
    """

    logits: list[int]
    cycles: int
    records: dict | None = None
    activity: list | None = None


class Machine(Protocol):
    """Something that runs images."""

    title: str

    def run(self, image: "torch.Tensor") -> Computed:
        """Run one image, uint8 [C, H, W]."""

    def cycles(self) -> int:
        """Return how many cycles of the image that is being run are done, where that is known, else 0."""


class _Simulated:
    title = "generated hardware, simulated by Verilator"

    def __init__(self, session):
        self._session = session
        self._begin = 0

    def run(self, image: "torch.Tensor") -> Computed:
        from vitric.golden.spec.command import ErrorCode

        found = self._session.run(image)
        (error, command), end = found.status[0], int(found.cycles[0])
        if error != ErrorCode.OK:
            raise UserError(f"the accelerator reported {error.name} at command {command}")
        begin = int(found.activity[:, 3].min())
        self._begin = end
        stretches = [[engine, command, first - begin, last - begin + 1, active]
                     for _, engine, command, first, last, active in found.activity.tolist()]
        return Computed(logits=found.logits[0].tolist(), cycles=end - begin + 1, records=found.records(0),
                        activity=stretches)

    def cycles(self) -> int:
        return max(0, self._session.cycles() - self._begin)


@contextmanager
def simulated_machine(project: "Project", compiled: "Compiled") -> Iterator[Machine]:
    """Open a simulation of a project's accelerator in a folder of its own, with the build of `vitric sim`."""
    import shutil

    from vitric.sim.runner import BUILD
    from vitric.sim.session import Session

    own, other = project.build / "demo" / BUILD, project.build / "verilator" / BUILD
    if other.is_dir() and not own.exists():
        shutil.copytree(other, own, symlinks=True)  # built again if it is not whole, or of another accelerator
    with Session(compiled, own.parent) as session:
        yield _Simulated(session)


class _Board:
    def __init__(self, device, compiled, port: str):
        self.title = f"board at {port}"
        self._device, self._compiled = device, compiled

    def run(self, image: "torch.Tensor") -> Computed:
        from ..inputs.device import infer_all

        (answer,), _ = infer_all(self._device, [self._compiled.input_words(image[None])[0].tobytes()])
        return Computed(logits=list(answer.logits), cycles=answer.cycles)

    def cycles(self) -> int:
        return 0


@contextmanager
def board_machine(project: "Project", compiled: "Compiled", port: str, baud: int) -> Iterator[Machine]:
    """Open the board at a serial port, which must hold the project's model.

    Raises
    ------
    UserError
        It does not answer, is for another accelerator, or holds another model.
    """
    from vitric.boards.crc import crc32c

    from ..inputs.device import matching_info, open_device

    with open_device(port, baud) as device:
        info = matching_info(device, project.spec, f"the project {project.name}")
        if info.model_crc != crc32c(compiled.stream.data):
            raise UserError(f"the board holds another model than {project.name}; "
                            f"`vitric load --project {project.name} --port {port}` gives it that one")
        yield _Board(device, compiled, port)
