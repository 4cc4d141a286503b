"""Cycle model: predicts when each command of a model stream is complete, without simulating the hardware.

Time is counted in cycles from the first word of the stream, with every outside port willing. The engines are followed
tile by tile:

- the *front end* reads one model word per cycle as long as the rings have room, and waits where a command says so;
- the *feeder* issues one beat per cycle; a set of weights must be complete before its first beat;
- a result tile leaves the array ``passes * k_words`` beats after the one before it, or when the *drain* has taken that
  one column by column, whichever is later;
- the *writeback* takes one column per cycle of one command after the other, so what comes later waits in the pipeline.

Latencies of the units come from their specs. ``tests/sim`` holds the prediction to 2 % of the simulated hardware.
"""

from collections import deque
from dataclasses import asdict, dataclass, replace

from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import COMMAND_FIELDS, FIELD_BITS, HEADER_FIELDS, Flag, Opcode, Target

from .decode import Command

__all__ = ["CommandCycles", "Prediction", "predict"]

_ISSUE = 2  # from the loop counters to the array: addresses, operands
_HANDOVER = 1  # of a command from one engine to the next
_START = 2  # from taking a command to its first column (writeback) or its first beat (feeder)


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


class _Ring:
    """Fill level of a ring whose words are freed at known times."""

    def __init__(self, depth: int):
        self.free = depth
        self.releases: deque[tuple[int, int]] = deque()

    def release(self, time: int, words: int) -> None:
        self.releases.append((time, words))

    def fill(self, time: int, words: int, per_word: int) -> int:
        """Return when ``words`` more are in, starting at ``time``, ``per_word`` cycles each."""
        while words:
            while self.releases and (self.releases[0][0] <= time or not self.free):
                moment, freed = self.releases.popleft()
                time = max(time, moment)
                self.free += freed
            now = min(self.free, words)
            self.free -= now
            words -= now
            time += now * per_word
        return time


class _Machine:
    """Time at which each engine has finished what was simulated so far."""

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        self.weights, self.channels = _Ring(spec.weight_words), _Ring(spec.channel_words)
        header = -(-len(HEADER_FIELDS) * FIELD_BITS // spec.model_bits) + 1
        self.front = header  # the front end may begin the next command
        self.feeder = self.drain = self.writeback = 0  # free for the next command
        self.drain_taken = self.writeback_taken = 0  # the command before was taken
        self.done = [0]  # by index of the command
        self.gelu = 0  # last command that uses the GELU table
        self.out = self.drained = 0  # last tile out of the array, last tile taken by the drain
        self.written: deque[int] = deque()  # when the last column of each recent tile left the requantize unit
        self.block_words = -(-len(COMMAND_FIELDS) * FIELD_BITS // spec.model_bits) + 1

    # Front end ------------------------------------------------------------------------------------------------

    def read_block(self) -> int:
        """Return when the block at the front is checked."""
        return self.front + self.block_words + 1

    def load_table(self, command: Command, time: int) -> int:
        """Load the GELU table of a MATMUL, if it has one, from ``time`` on; return when its sets can follow."""
        if Flag.GELU in command.flags:
            time = max(time, self.done[self.gelu]) + 1 + self.spec.gelu.entries
            self.gelu = command.fields["index"]
        return time

    def load_set(self, command: Command, number: int, time: int) -> tuple[int, int]:
        """Load set ``number`` of a MATMUL from ``time`` on; return when its channels and its weights are complete."""
        spec, f, flags = self.spec, command.fields, command.flags
        channel_words = f["set_tiles"] * spec.cols
        time += 1
        if Flag.KEY_BIAS not in flags:
            time = self.channels.fill(time, channel_words, spec.channel_model_words)
        if Flag.WEIGHTS_ACT not in flags:
            return time, self.weights.fill(time, f["set_words"], max(1, spec.weight_word_bits // spec.model_bits))
        begin = max(time, self.done[f["w_wait"]]) + 1
        per_word, per_tile = 3, 2
        if Flag.KEY_BIAS in flags:
            time = self.channels.fill(begin, channel_words, 0)
            per_word, per_tile = 3 + spec.depth, 2 + 2 * spec.cols
        end = self.weights.fill(begin, f["set_words"], per_word) + per_tile * f["set_tiles"]
        self.steal(begin, end, f["set_words"], beside_itself=number > 0)
        return (end if Flag.KEY_BIAS in flags else time), end

    def steal(self, begin: int, end: int, words: int, *, beside_itself: bool) -> None:
        """Delay what the array does meanwhile by the memory reads that it loses to the loader.

        That is the command before, or, ``beside_itself``, an earlier set of the same one.
        """
        overlap = max(0, min(end, self.feeder) - begin)
        lost = words * overlap // max(1, end - begin)
        if not self.array_bound:
            return
        self.feeder += lost
        self.out += lost
        self.drained += lost
        self.written = deque(time + lost for time in self.written)
        if not beside_itself:
            self.writeback += lost
            self.done[-1] += lost

    array_bound = False
    """Whether the product that was simulated last is limited by its beats, not by the drain."""

    # Engines --------------------------------------------------------------------------------------------------

    def take(self, dispatched: int) -> tuple[int, int, int]:
        """Hand a command through the engines; return when feeder, drain and writeback have taken it."""
        feeder = max(self.feeder, dispatched + _HANDOVER, self.drain_taken)
        drain = max(self.drain, feeder + _HANDOVER, self.writeback_taken)
        writeback = max(self.writeback, drain + _HANDOVER)
        self.drain_taken, self.writeback_taken = drain, writeback
        return feeder, drain, writeback

    def complete(self, last_column: int, tail: int) -> None:
        """Note that the last column was taken and that its results are written ``tail`` cycles later."""
        self.writeback = last_column + tail
        self.done.append(self.writeback)

    def rows(self, first_code: list[int], columns: int, time: int, pace: int = 1) -> list[int]:
        """Return when the writeback has taken each row of ``columns``, from ``time`` on, given when codes begin."""
        ends = []
        for begin in first_code:
            time = max(time, begin) + max(columns, pace)
            ends.append(time)
        return ends

    def matmul(self, command: Command, taken: tuple[int, int, int], time: int) -> tuple[int, int]:
        """Run a product tile by tile, its sets loaded from ``time`` on; return when they are and its last beat."""
        spec, f = self.spec, command.fields
        latency = _ISSUE + spec.mac.latency
        cols, beats = spec.cols, len(command.passes) * f["k_words"]
        start = max(taken[0] + 1, self.done[f["a_wait"]]) + 1
        unit = 1 + spec.requantize.latency + (spec.gelu.latency + 1 if Flag.GELU in command.flags else 0)
        held = -(-unit // cols)  # tiles that the pipeline behind the drain holds
        softmax = command.target is Target.SOFTMAX
        column = taken[2] + _START - 1  # last column taken by the writeback
        arrivals = []
        tiles = f["set_tiles"]
        row_columns = f["columns"] if softmax else 0
        row_end: list[int] = []
        for number in range(f["sets"]):
            channels, time = self.load_set(command, number, time)
            self.array_bound = beats >= cols
            begin = max(start, time + 1) - 1
            self.drained = max(self.drained, taken[1], channels)
            for group in range(f["groups"]):
                for _ in range(tiles):
                    self.out = max(self.out + beats, begin + beats + latency, self.drained)
                    entry = self.out
                    if len(self.written) >= held:
                        entry = max(entry, self.written[-held] - unit + held * cols - cols + 1)
                    self.drained = entry + cols
                    if softmax:
                        self.written.append(self.drained + unit - 1)
                    else:
                        column = max(column + cols, self.drained + unit - 1)
                        self.written.append(column)
                if softmax:
                    # The row buffer takes this row's last score when it has given out so many codes.
                    given = (group + 1) * row_columns - spec.softmax.buffer_depth
                    if given > 0:
                        row, code = divmod(given - 1, row_columns)
                        room = row_end[row] - f["row_tiles"] * cols + code + 1
                        self.drained = max(self.drained, room - unit)
                    last = self.drained - cols + 1 + unit + (row_columns - 1) % cols
                    arrivals.append(last + spec.softmax.latency)
                    row_end += self.rows(arrivals[-1:], f["row_tiles"] * cols,
                                         row_end[-1] if row_end else column, spec.softmax.row_interval(row_columns))
            fed = self.out - latency
            self.weights.release(fed + 2, f["set_words"])
            self.channels.release(self.drained, tiles * cols)
            self.feeder = fed + 1
        while len(self.written) > held + 64:
            self.written.popleft()
        self.front, self.drain = time + 1, self.drained
        if softmax:
            column = row_end[-1]
        tail = {Target.RESIDUAL: 4, Target.LOGITS: 2}.get(command.target, command.planes + 2)
        self.complete(column, tail)
        return time, fed

    def norm(self, command: Command, taken: tuple[int, int, int], channels: int) -> int:
        """Run a LayerNorm row group by row group; return when its last beat was issued."""
        spec, f = self.spec, command.fields
        start = max(taken[0] + 1, self.done[f["a_wait"]], channels) + 2
        interval = max(f["columns"], spec.layernorm.min_length_full_rate if f["groups"] > 1 else 0)
        lasts = [start + group * interval + f["columns"] for group in range(f["groups"])]
        codes = [last + spec.layernorm.latency for last in lasts]
        ends = self.rows(codes, f["row_tiles"] * spec.cols, taken[2] + _START)
        self.feeder = lasts[-1] + 2
        self.drain = self.drained = ends[-1] - 1
        self.channels.release(ends[-1], f["columns"])
        self.complete(ends[-1], command.planes + 1)
        return lasts[-1]


def _step(machine: _Machine, command: Command) -> CommandCycles:
    """Simulate one command."""
    spec, f = machine.spec, command.fields
    time = machine.read_block()
    ready, fed, beats = time, time, 0
    name = command.opcode.name
    if command.opcode is Opcode.END:
        machine.front = max(time, machine.done[-1])
        machine.done.append(machine.front + 1)
    elif command.opcode is Opcode.LOAD:
        per_column = max(1, spec.residual_word_bits // spec.model_bits)
        time = max(time, machine.done[f["a_wait"]]) + f["groups"] * (f["columns"] * per_column + 1) + 1
        machine.front = time + 1
        taken = machine.take(time)
        machine.complete(taken[2], 3)
        machine.feeder, machine.drain = taken[0] + 1, taken[1] + 1
    elif command.opcode is Opcode.INPUT:
        machine.front = time + 1
        taken = machine.take(time)
        machine.feeder, machine.drain = taken[0] + 1, taken[1] + 1
        machine.complete(taken[2] + _START + f["groups"] * f["row_tiles"] * spec.cols - 1, command.planes + 2)
    elif command.opcode is Opcode.NORM:
        ready = machine.channels.fill(time + 1, f["columns"], spec.channel_model_words)
        machine.front = ready
        fed = machine.norm(command, machine.take(time), ready)
    else:
        name = f"{name} {command.target.name}"
        beats = f["sets"] * f["set_tiles"] * f["groups"] * len(command.passes) * f["k_words"]
        taken = machine.take(time)
        ready, fed = machine.matmul(command, taken, machine.load_table(command, time + 1))
    return CommandCycles(f["index"], name, ready, fed, 0, beats, command.words)


def predict(commands: list[Command], spec: AcceleratorSpec) -> Prediction:
    """Predict the cycles of one inference of a stream's commands (:meth:`~vitric.flow.stream.ModelStream.commands`)."""
    machine = _Machine(spec)
    steps = [_step(machine, command) for command in commands]
    steps = [replace(step, done=machine.done[step.index]) for step in steps]  # a later load may delay a command
    logits = sum(c.fields["dst_stride"] for c in commands
                 if c.opcode is Opcode.MATMUL and c.target is Target.LOGITS)
    return Prediction(spec, tuple(steps), steps[-1].done + logits + 2)
