"""Progress of a simulation: what its build is at, then the images."""

import threading
import time
from pathlib import Path

from rich.console import Console

__all__ = ["Simulating", "build_state"]

_RUNTIME = 5  # objects that are not of the model: the main program and Verilator's library
_POLL_S, _TELL_S = 0.5, 15


def build_state(model: Path, since: float) -> str:
    """Return what a build of Verilator's in the folder ``model``, begun at the time ``since``, is doing.

    It cannot be asked, so this looks at its files: Verilator writes ``Vtop.mk`` last, and each object is one file.
    """
    makefile = model / "Vtop.mk"
    if not makefile.is_file() or makefile.stat().st_mtime < since:
        return "generating hardware, as Verilog and as C++"
    files = len(list(model.glob("Vtop*.cpp"))) + _RUNTIME
    return f"compiling C++, {min(len(list(model.glob('*.o'))), files)} of {files} files"


class Simulating:
    """A context: a line that tells the build, then a bar over the images; without a terminal a line now and then.

    Its value is called with images and cycles done.

    Parameters
    ----------
    say : Console
    images : int
    model : Path
        Folder of the build.
    """

    def __init__(self, say: Console, images: int, model: Path):
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._plain = not say.is_terminal
        self._bar = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("images"), TimeElapsedColumn(), console=say, transient=True, disable=self._plain)
        self._say, self._model = say, model
        self._task = self._bar.add_task("preparing the simulator", total=images)
        self._told, self._runs = -1, threading.Event()

    def __enter__(self):
        if self._plain:
            self._say.print("[bold]simulator[/] building (kept for the next run), then running")
        self._bar.start()
        self._watch = threading.Thread(target=self._watch_build, args=(time.time(),), daemon=True)
        self._watch.start()
        return self._report

    def __exit__(self, *error):
        self._runs.set()
        self._watch.join()
        self._bar.stop()

    def _watch_build(self, since: float) -> None:
        told = since
        while not self._runs.wait(_POLL_S):
            state = build_state(self._model, since)
            self._bar.update(self._task, description=state)
            if self._plain and time.time() - told >= _TELL_S:
                told = time.time()
                self._say.print(f"[bold]simulator[/] {state} ({told - since:.0f} s)")

    def _report(self, images: int, cycles: int) -> None:
        self._runs.set()
        self._bar.update(self._task, completed=images, description=f"simulating, {cycles} cycles")
        if self._plain and images // 8 > self._told:
            self._told = images // 8
            self._say.print(f"[bold]running[/]   {images} images, {cycles} cycles")
