"""A project behind the page: pictures become pixels, pixels become answers, one after the other."""

import io
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from vitric.golden.errors import UserError

from .answers import Answers
from .drawing import drawn_pixels
from .jobs import Jobs
from .machines import Machine

if TYPE_CHECKING:
    import torch

__all__ = ["ProjectService"]

_WAITING = 8  # images
_HINTS = {"digits": "Sevens need their bar, as they were written where these digits were collected."}


class ProjectService:
    """Answers for a project, by a machine that a thread of its own opens and works with.

    Parameters
    ----------
    answers : Answers
    machine : context of Machine
        Opened in the thread; the service is ready when a first image went through.
    """

    def __init__(self, answers: Answers, machine: AbstractContextManager[Machine]):
        project, vit = answers.project, answers.project.vit
        self.answers, self.jobs = answers, Jobs(_WAITING)
        self.about = {
            "project": project.name, "image_size": vit.image_size, "in_chans": vit.in_chans, "classes": vit.num_classes,
            "labels": list(project.labels) if project.labels else None, "predicted_cycles": answers.cycles,
            "clock_mhz": answers.clock_mhz, "draws": vit.in_chans == 1,
            "hint": _HINTS.get(project.data, "")}
        self._opening, self._machine = machine, None
        self._failure: str | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> "ProjectService":
        self._thread.start()
        return self

    def __exit__(self, *error) -> None:
        self.jobs.close()
        if self._machine is not None:  # else it may still be built: that ends with this process
            self._thread.join()

    def _work(self) -> None:
        try:
            with self._opening as machine:
                machine.run(self._blank())
                self._machine = machine
                self.jobs.run()
        except Exception as error:
            self._failure = str(error)
        finally:
            self._machine = None

    def _blank(self) -> "torch.Tensor":
        import torch

        vit = self.answers.project.vit
        return torch.zeros(vit.in_chans, vit.image_size, vit.image_size, dtype=torch.uint8)

    def state(self) -> dict:
        """Return ``ready``, and ``text`` while it is not."""
        if self._machine is not None:
            return {"ready": True, "text": self._machine.title}
        text = self._failure or "the generated hardware is being built (about two minutes, once)"
        return {"ready": False, "text": text, "failed": self._failure is not None}

    def cycles(self) -> int:
        """Return the cycles that are done of the image that is being run."""
        return 0 if self._machine is None else self._machine.cycles()

    def prepare(self, data: bytes, *, drawn: bool) -> Callable[[], dict]:
        """Return a function that answers for a picture; ``drawn`` ones are cut out and scaled as handwritten digits."""
        pixels, notes = self._drawn(data) if drawn else self._file(data)

        def work() -> dict:
            if self._machine is None:
                raise UserError(self.state()["text"])
            return self.answers.answer(self._machine, pixels[0], notes)

        return work

    def _drawn(self, data: bytes) -> "tuple[torch.Tensor, list[str]]":
        from PIL import Image, UnidentifiedImageError

        try:
            with Image.open(io.BytesIO(data), formats=["PNG"]) as drawing:
                if max(drawing.size) > 2048:
                    raise ValueError("a drawing may have at most 2048 x 2048 pixels")
                return drawn_pixels(drawing, self.answers.project.vit.image_size), []
        except (UnidentifiedImageError, OSError) as error:
            raise ValueError("the drawing is no PNG file") from error

    def _file(self, data: bytes) -> "tuple[torch.Tensor, list[str]]":
        import tempfile
        from pathlib import Path

        from vitric.golden.data.snapshots import snapshot

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "picture")
            path.write_bytes(data)
            try:
                return snapshot(path, self.answers.project.transform)
            except ValueError as error:
                raise ValueError(str(error).replace(str(path), "the file")) from error
