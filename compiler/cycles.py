"""Cycle model: predicts when each command of a model stream is complete, without simulating the hardware.

Time is counted in cycles from the first word of the stream, with every outside port willing at its rate. The engines
are followed row group by row group:

- the *front end* reads one model word per cycle, or as many as the source of the model gives, as long as the rings have
  room, and waits where a command says so;
- the *feeder* issues one beat per cycle, of a set that is complete in the rings and of a row group that is written; the
  last beats of two tiles are as far apart as the drain or the tile writer needs, and a row group of scores waits until
  softmax has room;
- the *row engine* takes the columns of the image, of LayerNorm and of softmax, one command after the other.

Latencies of the units come from their specs. ``tests/sim`` holds the prediction to 2 % of the simulated hardware.
"""

from dataclasses import asdict, dataclass, replace

from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import Opcode, Target
from vitric.golden.spec.word_rate import EVERY_CYCLE, WordRate

from .decode import Command
from .timeline import Timeline

__all__ = ["CommandCycles", "Prediction", "predict"]


@dataclass(frozen=True)
class CommandCycles:
    """When one command runs.

    Attributes
    ----------
    index : int
    name : str
        Opcode and target.
    ready : int
        Cycle from which all its operands are loaded.
    fed : int
        Cycle of its last beat into the array or the LayerNorm unit.
    done : int
        Cycle from which all its results are in memory.
    beats : int
        Beats of the array.
    model_words : int
        Words of the stream, block and operands.
    """

    index: int
    name: str
    ready: int
    fed: int
    done: int
    beats: int
    model_words: int


@dataclass(frozen=True)
class Prediction:
    """Cycles of one inference.

    Attributes
    ----------
    spec : AcceleratorSpec
    commands : tuple of CommandCycles
    cycles : int
        From the first word of the stream to the last logit.
    """

    spec: AcceleratorSpec
    commands: tuple[CommandCycles, ...]
    cycles: int

    @property
    def beats(self) -> int:
        """Beats of the array: the least number of cycles that the array could take."""
        return sum(command.beats for command in self.commands)

    @property
    def utilization(self) -> float:
        """Share of the cycles in which the array takes a beat."""
        return self.beats / self.cycles

    @property
    def model_bytes(self) -> int:
        """Bytes of the stream behind its header."""
        return sum(command.model_words for command in self.commands) * self.spec.model_bits // 8

    @property
    def mean_bytes_per_cycle(self) -> float:
        """Bytes of the model stream per cycle over the whole inference."""
        return self.model_bytes / self.cycles

    @property
    def peak_bytes_per_cycle(self) -> float:
        """Bytes per cycle that keep the array busy in the command that needs most: its words per beat."""
        return max((c.model_words / c.beats for c in self.commands if c.beats), default=0) * self.spec.model_bits / 8

    def as_dict(self) -> dict:
        """Return everything as plain JSON types."""
        return {
            "spec": self.spec.name, "cycles": self.cycles, "beats": self.beats, "utilization": self.utilization,
            "model_bytes": self.model_bytes, "mean_bytes_per_cycle": self.mean_bytes_per_cycle,
            "peak_bytes_per_cycle": self.peak_bytes_per_cycle, "commands": [asdict(c) for c in self.commands],
        }


def _step(timeline: Timeline, command: Command) -> CommandCycles:
    """Simulate one command."""
    spec, f = timeline.spec, command.fields
    time = timeline.read_block()
    ready, fed, beats = time, time, 0
    name = command.opcode.name
    if command.opcode is Opcode.END:
        timeline.front = max(time, timeline.done[-1] + 1)
        timeline.done.append(timeline.front + 1)
    elif command.opcode is Opcode.MATMUL:
        name = f"{name} {command.target.name}"
        beats = f["sets"] * f["set_tiles"] * f["groups"] * len(command.passes) * f["k_words"]
        if command.target is Target.SOFTMAX:
            time = timeline.dispatch(timeline.rows, time)
        time = timeline.dispatch(timeline.products, time)
        ready, fed = timeline.matmul(command, time, timeline.load_table(command, time))
    else:
        if command.opcode is Opcode.LOAD:
            per_column = max(1, spec.residual_word_bits // spec.model_bits)
            time = max(time, timeline.done[f["a_wait"]])
            time = timeline.take(time, f["groups"] * f["columns"] * per_column) + f["groups"] + 1
        elif command.opcode is Opcode.NORM:
            time = timeline.load_constants(command, time)
        ready = time
        timeline.front = timeline.dispatch(timeline.rows, time)
        fed = timeline.rows_of(command, timeline.front)
    return CommandCycles(f["index"], name, ready, fed, 0, beats, command.words)


def predict(commands: list[Command], spec: AcceleratorSpec, rate: WordRate = EVERY_CYCLE) -> Prediction:
    """Predict the cycles of one inference of a stream's commands: those of ``ModelStream.commands``.

    ``rate`` is that of the source of the model, by default a word in each cycle: see
    :meth:`vitric.golden.spec.sdram.SdramSpec.word_rate`.
    """
    timeline = Timeline(spec, rate)
    steps = [_step(timeline, command) for command in commands]
    steps = [replace(step, done=timeline.done[step.index]) for step in steps]  # a later load may delay a command
    logits = sum(c.fields["dst_stride"] for c in commands
                 if c.opcode is Opcode.MATMUL and c.target is Target.LOGITS)
    return Prediction(spec, tuple(steps), steps[-1].done + logits + 2)
