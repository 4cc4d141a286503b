"""Progress on standard error: of a training, and of work with several parts."""

from types import TracebackType

from .console import console

__all__ = ["PartBars", "TrainingBar"]


class TrainingBar:
    """Bar of the steps of a training, with loss and accuracy of the last epoch; a context.

    Parameters
    ----------
    what : str
        Shown before the bar.
    """

    def __init__(self, what: str):
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bars = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("steps"),
            TextColumn("{task.fields[last]}"), TimeRemainingColumn(), console=console(stderr=True))
        self._task = self._bars.add_task(what, total=None, last="")

    def __enter__(self) -> "TrainingBar":
        self._bars.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bars.stop()

    def step(self, number: int, steps: int) -> None:
        """Count step ``number``, from 0, of ``steps``: ``on_step`` of :func:`vitric.golden.train.fit`."""
        self._bars.update(self._task, completed=number + 1, total=steps)

    def epoch(self, number: int, loss: float, accuracy: float) -> None:
        """Show the end of epoch ``number``, from 1: ``on_epoch`` of :func:`vitric.golden.train.fit`."""
        self._bars.update(self._task, last=f"epoch {number}: loss {loss:.3f}, training accuracy {accuracy:.1%}")


class PartBars:
    """A bar for each part of some work, made when the part is first heard of; a context."""

    def __enter__(self) -> "PartBars":
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._tasks = {}
        self._bars = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                              TimeRemainingColumn(), console=console(stderr=True), transient=True)
        self._bars.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bars.stop()

    def show(self, part: str, done: int, total: int) -> None:
        """Say that ``done`` of ``total`` steps of ``part`` are done."""
        if part not in self._tasks:
            self._tasks[part] = self._bars.add_task(part, total=total)
        self._bars.update(self._tasks[part], completed=done, total=total)
