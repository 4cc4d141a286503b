"""The generated accelerator under Verilator as a process that stays: images one at a time, as they come."""

import os
import select
import threading
from pathlib import Path
from time import perf_counter, sleep

import torch
from vitric.compiler.compile import Compiled
from vitric.toolchain.folders import locked

from .accelerator import Run, read_run
from .harness import LIVE, OUTPUTS, model_lines, pixel_lines, run_harness, write_inputs

__all__ = ["Session"]

_MANY = (1 << 31) - 1  # images until a session has to be begun anew
_WAIT = 0.002  # seconds between two looks at a file


class Session:
    """A simulation of a compiled model that waits for images; between two of them it stands still.

    Used as a context: the simulator is built, unless that is there, and started at its beginning, and over at its end.
    Only one thread may use it; while it is open, variables of this process's environment that steer tools are hidden
    (:func:`vitric.toolchain.processes.variables`).

    Parameters
    ----------
    compiled : Compiled
    build_dir : path
        Folder of the build and of all that is written; nobody else can use it meanwhile.
    tap : bool
        Record every write to memory, and what the engines do.
    """

    def __init__(self, compiled: Compiled, build_dir: Path | str, *, tap: bool = True):
        self.compiled, self.tap = compiled, tap
        self.folder = Path(build_dir).resolve()
        self._images = 0
        self._offsets = dict.fromkeys(OUTPUTS, 0)
        self._build_seconds, self._failure = 0.0, None
        self._fifo: int | None = None
        self._thread = threading.Thread(target=self._simulate, daemon=True)

    def __enter__(self) -> "Session":
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in (*OUTPUTS, "progress"):
            (self.folder / f"{name}.txt").unlink(missing_ok=True)
        fifo = self.folder / LIVE
        fifo.unlink(missing_ok=True)
        os.mkfifo(fifo)
        self._fifo = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)  # for reading too, so that it need not wait for a reader
        self._thread.start()
        return self

    def __exit__(self, *error) -> None:
        (self.folder / LIVE).unlink(missing_ok=True)  # first: one that is only now started must not wait for a writer
        os.close(self._fifo)  # the simulation ends when there are no more images
        self._thread.join()

    def run(self, image: torch.Tensor) -> Run:
        """Run one image, integer [C, H, W]; return what :func:`~vitric.sim.accelerator.run_stream` does for it.

        ``cycles``, ``events`` and ``activity`` count from the beginning of the session.

        Raises
        ------
        ValueError, TypeError
            The image does not fit the network.
        vitric.sim.runner.BenchFailure
            The build or the simulation failed.
        """
        columns = pixel_lines(self.compiled.input_words(image[None]))
        started = perf_counter()
        self._send(("\n".join(columns) + "\n").encode())
        self._until(lambda: self._news("status").endswith(b"\n"))
        texts = {name: self._news(name) for name in OUTPUTS}
        for name, text in texts.items():
            self._offsets[name] += len(text)
        self._images += 1
        return read_run(texts, self.compiled, 1, perf_counter() - started, self._build_seconds, first=self._images - 1)

    def cycles(self) -> int:
        """Return about how many cycles were simulated so far, since the beginning of the session."""
        try:
            return int((self.folder / "progress.txt").read_text().split()[1])
        except (OSError, IndexError):  # not there yet, or just being written
            return 0

    def _simulate(self) -> None:
        spec, model = self.compiled.spec, model_lines([self.compiled.stream.words], self.compiled.spec)
        config = self.compiled.config
        empty = torch.zeros(1, config.in_chans, config.image_size, config.image_size, dtype=torch.uint8)
        pixels = pixel_lines(self.compiled.input_words(empty))
        try:
            with locked(self.folder):
                write_inputs(self.folder, model, pixels, (_MANY, 0, 1, int(self.tap), 1))
                bench = run_harness(self.folder, spec, model, pixels)
                self._build_seconds = bench.build_seconds
        except BaseException as error:
            self._failure = error

    def _until(self, happened) -> None:
        while not happened():
            if not self._thread.is_alive():
                raise self._failure or RuntimeError(f"the simulation in {self.folder} has ended")
            sleep(_WAIT)

    def _send(self, data: bytes) -> None:
        while data:
            self._until(lambda: select.select([], [self._fifo], [], 0)[1])
            data = data[os.write(self._fifo, data[:select.PIPE_BUF]):]

    def _news(self, name: str) -> bytes:
        """Return what a file has that was not read yet."""
        path = self.folder / f"{name}.txt"
        if not path.exists():
            return b""
        with open(path, "rb") as file:
            file.seek(self._offsets[name])
            return file.read()
