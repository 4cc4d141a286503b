"""Runs an integer ViT on the generated accelerator under Verilator and reads back everything it wrote."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from vitric.compiler.compare import logit_records
from vitric.compiler.compile import Compiled, compile_model
from vitric.golden.integer import IntegerViT
from vitric.golden.spec.accelerator import SPECS, AcceleratorSpec
from vitric.golden.spec.command import ErrorCode
from vitric.toolchain.folders import locked

from .harness import ACTIVITY, EVENTS, OUTPUTS, model_lines, pixel_lines, run_harness, table, tap_records, write_inputs

__all__ = ["Run", "read_run", "run", "run_stream"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """What a simulation gave.

    Attributes
    ----------
    logits : int64 tensor (images, classes)
        Zero for images that ended with an error. For streams with different numbers of classes the largest counts.
    logit_counts : int64 array (images,)
        Logits that each image gave; with an error 0.
    images_taken : int64 array (images,)
        Images whose last column the accelerator had taken by each status, the dropped ones included.
    status : list of (ErrorCode, int)
        For each image: error code, command being read.
    act, residual : structured arrays with the fields of the tap's records and ``image``
        Empty without the tap.
    events : int64 array (n, 5)
        See :data:`~vitric.sim.harness.EVENTS`: counters since reset at the completion of each command; END has the
        last number.
    activity : int64 array (n, 6)
        See :data:`~vitric.sim.harness.ACTIVITY`: each stretch, from cycle ``first`` to ``last``, in which an engine, by
        its number among :data:`vitric.hdl.accelerator.tap.ENGINES`, works on a command without a rest of 16 cycles,
        and in how many of them it does something. Empty without the tap.
    cycles : int64 array (images,)
        Cycle of each image's status.
    seconds : float
        Wall time of the simulation, without the build.
    build_seconds : float
    """

    logits: torch.Tensor
    logit_counts: np.ndarray
    images_taken: np.ndarray
    status: list[tuple[ErrorCode, int]]
    act: np.ndarray
    residual: np.ndarray
    events: np.ndarray
    activity: np.ndarray
    cycles: np.ndarray
    seconds: float
    build_seconds: float

    @property
    def cycles_per_second(self) -> float:
        """Simulated cycles per second of wall time."""
        return float(self.cycles[-1]) / self.seconds

    def records(self, image: int) -> dict[str, np.ndarray]:
        """Return the tap records of one image, as ``Compiled.compare`` takes them."""
        logits = np.zeros(self.logit_counts[image], dtype=logit_records())
        logits["value"] = self.logits[image, :len(logits)].numpy()
        return {
            "act": self.act[self.act["image"] == image], "residual": self.residual[self.residual["image"] == image],
            "logits": logits,
        }


def run(
    model: IntegerViT, images: torch.Tensor, *, spec: AcceleratorSpec | None = None, compiled: Compiled | None = None,
    **options,
) -> Run:
    """Run ``model`` on ``images`` in the accelerator of ``spec``.

    Parameters
    ----------
    model : IntegerViT
    images : integer tensor (B, C, H, W)
    spec : AcceleratorSpec, optional
        Default: the first of :data:`~vitric.golden.spec.accelerator.SPECS` that the model fits.
    compiled : Compiled, optional
        The compiled model, if it is there already.
    **options
        Those of :func:`run_stream`.

    Raises
    ------
    RuntimeError
        The accelerator reported an error, or gave another number of logits; the message names image, error and
        command.
    """
    compiled = compiled or (compile_model(model, spec) if spec else compile_for_any(model))
    result = run_stream(compiled, images, **options)
    for image, (error, command) in enumerate(result.status):
        if error != ErrorCode.OK:
            raise RuntimeError(f"the accelerator reported {error.name} on image {image} at command {command}")
        if result.logit_counts[image] != model.config.num_classes:
            raise RuntimeError(f"image {image} gave {result.logit_counts[image]} logits")
    return result


def compile_for_any(model: IntegerViT) -> Compiled:
    """Compile for the smallest named spec that the model fits; raise the last spec's error if none does."""
    *smaller, largest = sorted(SPECS.values(), key=lambda spec: (spec.act_words * spec.tile_bits, spec.name))
    for spec in smaller:
        try:
            return compile_model(model, spec)
        except ValueError:
            continue
    return compile_model(model, largest)


def run_stream(
    compiled: Compiled, images: torch.Tensor, *, words: Sequence[Sequence[int]] | None = None,
    columns: Sequence[np.ndarray] | None = None, build_dir: Path | str | None = None,
    stall: int = 0, seed: int = 1, tap: bool = True, waves: bool = False, cycle_limit: int | None = None,
    progress: Callable[[int, int], None] | None = None, extra_env: dict[str, str] | None = None,
) -> Run:
    """Run a compiled stream on images; errors of the accelerator are in the result.

    The accelerator takes an image when it needs one: after an error before that, the same image is there for the
    next stream. :attr:`Run.images_taken` tells.

    Parameters
    ----------
    compiled : Compiled
    images : integer tensor (B, C, H, W)
    words : sequence of sequences of int, optional
        Model words of one stream after the other, ``last`` on the final word of each: one inference per stream,
        to see what the accelerator makes of them. Default: the compiled stream once per image.
    columns : sequence of uint8 arrays (n, rows), optional
        Input columns of one image after the other, ``last`` on the final column of each, instead of ``images``.
        After the final image the first one comes again.
    build_dir : path, optional
        Default ``build/<spec name>/verilator``, where `make sim` of a configuration of that name leaves its build.
    stall : int
        Percent of cycles in which each port pauses at random.
    seed : int
        Of the pauses.
    tap : bool
        Record every write to memory.
    cycle_limit : int, optional
        Fail if there is not a status for every inference after about that many cycles.
    waves : bool
        Leave a trace of the window that ``extra_env`` chooses, see :func:`vitric.sim.runner.run_bench`.
    progress : callable, optional
        Called from another thread about five times a second with images and cycles done.
    """
    spec = compiled.spec
    folder = Path(build_dir or Path("build") / spec.name / "verilator").resolve()
    columns = compiled.input_words(images) if columns is None else columns
    model, pixels = model_lines([compiled.stream.words] if words is None else words, spec), pixel_lines(columns)
    count = len(images) if words is None else len(words)
    environment = {**(extra_env or {}), **({} if cycle_limit is None else {"VITRIC_CYCLE_LIMIT": str(cycle_limit)})}
    with locked(folder):
        write_inputs(folder, model, pixels, (count, stall, seed, int(tap), 0))
        with _watched(folder / "progress.txt", progress):
            bench = run_harness(folder, spec, model, pixels, waves=waves, environment=environment)
        texts = {name: (folder / f"{name}.txt").read_bytes() for name in OUTPUTS}
    return read_run(texts, compiled, count, bench.test_seconds, bench.build_seconds)


@contextmanager
def _watched(path: Path, progress: Callable[[int, int], None] | None) -> Iterator[None]:
    """Call ``progress`` with what the simulation writes to ``path``, for the duration of a block."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.2):
            if path.exists() and (fields := path.read_text().split()):
                progress(int(fields[0]), int(fields[1]))

    path.unlink(missing_ok=True)
    if progress:
        threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        stop.set()


def read_run(texts: Mapping[str, bytes], compiled: Compiled, images: int, seconds: float, build_seconds: float, *,
             first: int = 0) -> Run:
    """Return what the files of the harness (:data:`~vitric.sim.harness.OUTPUTS`) say of ``images`` images.

    ``first`` is the number of the first one there; in the result it is 0.
    """
    status, lines = table(texts["status"], 5), table(texts["logits"], 2)
    events, activity = table(texts["events"], len(EVENTS)), table(texts["activity"], len(ACTIVITY))
    act, residual = tap_records(texts, compiled.spec)
    for numbers in (lines[:, 0], events[:, 0], activity[:, 0], act["image"], residual["image"]):
        numbers -= first
    counts = np.bincount(lines[:, 0], minlength=images)
    classes = max(compiled.config.num_classes, counts.max(initial=0))
    logits = torch.zeros(images, classes, dtype=torch.int64)
    values = np.where(lines[:, 1] >= 1 << 31, lines[:, 1] - (1 << 32), lines[:, 1])
    for image in range(images):
        logits[image, :counts[image]] = torch.from_numpy(values[lines[:, 0] == image])
    return Run(
        logits=logits, logit_counts=counts, images_taken=status[:, 4],
        status=[(ErrorCode(error), command) for _, error, command, *_ in status.tolist()],
        act=act, residual=residual, events=events, activity=activity, cycles=status[:, 3],
        seconds=seconds, build_seconds=build_seconds,
    )
