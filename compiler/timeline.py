"""The engines of the accelerator in time: what the cycle model simulates, tile by tile."""

from collections import deque

from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import COMMAND_FIELDS, FIELD_BITS, HEADER_FIELDS, Flag, Target

from .decode import Command

__all__ = ["START", "Ring", "Timeline"]

_ISSUE = 3  # from the loop counters to the array: addresses, operands, buffer
_HANDOVER = 1  # of a command from one engine to the next
_KEPT = 256  # tiles whose times are kept: more than the pipeline behind the drain ever holds
START = 2  # from taking a command to its first column (writeback) or its first beat (feeder)


class Ring:
    """Fill level of a ring whose words are freed at known times."""

    def __init__(self, depth: int):
        self.free = depth
        self.releases: deque[tuple[int, int]] = deque()

    def release(self, time: int, words: int) -> None:
        """Note that the oldest ``words`` are freed at ``time``."""
        self.releases.append((time, words))

    def fill(self, time: int, words: int, per_word: int) -> int:
        """Return when ``words`` more are in, starting at ``time``, ``per_word`` cycles each."""
        while words:
            while self.releases and (self.releases[0][0] <= time or not self.free):
                moment, freed = self.releases.popleft()
                time = max(time, moment)
                self.free += freed
            if not self.free:
                raise ValueError("a weight set does not fit the ring")
            now = min(self.free, words)
            self.free -= now
            words -= now
            time += now * per_word
        return time


class Timeline:
    """Time at which each engine has finished what was simulated so far."""

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        self.weights, self.channels = Ring(spec.weight_words), Ring(spec.channel_words)
        header = -(-len(HEADER_FIELDS) * FIELD_BITS // spec.model_bits) + 1
        self.front = header  # the front end may begin the next command
        self.feeder = self.drain = self.writeback = 0  # free for the next command
        self.drain_taken = self.writeback_taken = 0  # the command before was taken
        self.done = [0]  # by index of the command
        self.table = 0  # last command that uses the code table
        self.out = self.drained = 0  # last tile out of the array, last tile taken by the drain
        self.written: deque[int] = deque()  # when the last column of each recent tile left the requantize unit
        self.array_bound = False  # the last product is limited by its beats, not by the drain
        self.block_words = -(-len(COMMAND_FIELDS) * FIELD_BITS // spec.model_bits) + 1

    # Front end ------------------------------------------------------------------------------------------------

    def read_block(self) -> int:
        """Return when the block at the front is checked."""
        return self.front + self.block_words + 1

    def load_table(self, command: Command, time: int) -> int:
        """Load the code table of a MATMUL, if it has one, from ``time`` on; return when its sets can follow."""
        if Flag.NEW_TABLE in command.flags:
            time = max(time, self.done[self.table]) + 1 + self.spec.gelu.entries
        if Flag.TABLE in command.flags:
            self.table = command.fields["index"]
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
            per_word, per_tile = 3 + spec.depth, 2 + 3 * spec.cols
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

    def tile(self, earliest: int, beats: int, unit: int) -> None:
        """Compute one tile and drain it into a pipeline of ``unit`` stages, which must have room for its columns."""
        cols = self.spec.cols
        entry = self.out = max(self.out + beats, earliest + beats, self.drained)
        held = -(-unit // cols)  # tiles in the pipeline
        if len(self.written) >= held:
            entry = max(entry, self.written[-held] - unit + held * cols - cols + 1)
        self.drained = entry + cols

    def softmax_row(self, rows: list[int], columns: int, written: int, unit: int, free: int, table: int) -> None:
        """Append to ``rows`` when the writeback has taken the ``written`` columns of the row just drained.

        ``table`` is the latency of the code table behind the unit, 0 without it.
        """
        spec = self.spec
        # The row buffer takes this row's last score when it has given out so many codes.
        given = (len(rows) + 1) * columns - spec.softmax.buffer_depth
        if given > 0:
            row, code = divmod(given - 1, columns)
            self.drained = max(self.drained, rows[row] - written + code + 1 - unit)
        last = self.drained - spec.cols + 1 + unit + (columns - 1) % spec.cols
        begin = max(last + spec.softmax.latency + table, rows[-1] if rows else free + table)
        rows.append(begin + max(written, spec.softmax.row_interval(columns)))

    def matmul(self, command: Command, taken: tuple[int, int, int], time: int) -> tuple[int, int]:
        """Run a product tile by tile, its sets loaded from ``time`` on; return when they are and its last beat."""
        spec, f = self.spec, command.fields
        latency = _ISSUE + spec.mac.latency
        cols, beats = spec.cols, len(command.passes) * f["k_words"]
        start = max(taken[0] + 1, self.done[f["a_wait"]]) + 1
        softmax = command.target is Target.SOFTMAX
        table = spec.gelu.latency + 1 if Flag.TABLE in command.flags else 0
        unit = 2 + spec.requantize.latency + (0 if softmax else table)
        column = taken[2] + START - 1  # last column taken by the writeback
        rows: list[int] = []
        for number in range(f["sets"]):
            channels, time = self.load_set(command, number, time)
            self.array_bound = beats >= cols
            self.drained = max(self.drained, taken[1], channels)
            for _ in range(f["groups"]):
                for _ in range(f["set_tiles"]):
                    self.tile(max(start - 1, time) + latency, beats, unit)
                    leaves = self.drained + unit - 1
                    column = column if softmax else max(column + cols, leaves)
                    self.written.append(leaves if softmax else column)
                if softmax:
                    self.softmax_row(rows, f["columns"], f["row_tiles"] * cols, unit, column, table)
            fed = self.out - latency
            self.weights.release(fed + 2, f["set_words"])
            self.channels.release(self.drained, f["set_tiles"] * cols)
            self.feeder = fed + 1
            while len(self.written) > _KEPT:
                self.written.popleft()
        self.front, self.drain = time + 1, self.drained
        tail = {Target.RESIDUAL: 4, Target.LOGITS: 2}.get(command.target, command.planes + 2)
        self.complete(rows[-1] if softmax else column, tail)
        return time, fed

    def norm(self, command: Command, taken: tuple[int, int, int], channels: int) -> int:
        """Run a LayerNorm row group by row group; return when its last beat was issued."""
        spec, f = self.spec, command.fields
        start = max(taken[0] + 1, self.done[f["a_wait"]], channels) + 2
        unit = spec.layernorm
        interval = max(f["columns"], unit.min_length_full_rate if f["groups"] > 1 else 0) + unit.pause
        lasts = [start + group * interval + f["columns"] for group in range(f["groups"])]
        end = taken[2] + START
        for last in lasts:
            end = max(end, last + unit.latency) + f["row_tiles"] * spec.cols
        self.feeder = lasts[-1] + 2
        self.drain = self.drained = end - 1
        self.channels.release(end, f["columns"])
        self.complete(end, command.planes + 1)
        return lasts[-1]
