"""The engines of the accelerator in time: what the cycle model simulates, row group by row group."""

from collections import deque
from math import ceil

from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import COMMAND_FIELDS, HEADER_FIELDS, Flag, Opcode, Target
from vitric.golden.spec.word_rate import EVERY_CYCLE, WordRate

from .decode import Command
from .layout import ceil_div
from .operands import block_words

__all__ = ["Ring", "Source", "Timeline"]

_READ = 4  # from the loop counters to the array: sums, addresses, memory, registers
_DRAIN = 2  # from the array to requantize
_SEEN = 2  # from a write until an engine that waits for it begins
_NEXT = -1  # from the completion of a command, which has some slack, until the next is read if one goes at a time


class Source:
    """Model words as they come: some are ready, and more come at a rate."""

    def __init__(self, rate: WordRate):
        self.rate = rate
        self.ready: float = rate.ahead
        self.since: float = 0

    def take(self, time: float, words: int) -> float:
        """Return when so many words are taken from ``time`` on, one per cycle while there are any."""
        cycles, ahead = self.rate.word_cycles, self.rate.ahead
        if cycles == 1:
            return time + words
        ready = min(ahead, self.ready + (time - self.since) / cycles)
        end = time + max(words, (words - ready) * cycles)
        self.ready, self.since = max(0.0, ready + (end - time) / cycles - words), end
        return end


class Ring:
    """Fill level of a ring whose words are freed at known times."""

    def __init__(self, depth: int):
        self.free = depth
        self.releases: deque[tuple[int, int]] = deque()

    def release(self, time: int, words: int) -> None:
        """Note that the oldest ``words`` are freed at ``time``."""
        self.releases.append((time, words))

    def fill(self, time: int, words: int, per_word: int, source: Source | None = None) -> int:
        """Return when ``words`` more are in, starting at ``time``, ``per_word`` cycles or words of the source each."""
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
            time = source.take(time, now * per_word) if source else time + now * per_word
        return ceil(time)


class Timeline:
    """Time at which each engine has finished what was simulated so far."""

    def __init__(self, spec: AcceleratorSpec, rate: WordRate = EVERY_CYCLE):
        self.spec, self.source = spec, Source(rate)
        self.group = spec.channel_group
        self.weights, self.channels = Ring(spec.weight_words), Ring(spec.channel_words // self.group)
        self.front = self.take(0, block_words(HEADER_FIELDS, spec))  # the front end may begin the next command
        self.feeder = self.engine = 0  # free for the next product; for the next command that makes rows
        self.last_beat = 0  # of the tile before
        self.gap = 0  # cycles that the next tile must be away from it
        self.done = [0]  # by index: this command and all before it are complete
        self.written: list[list[int]] = [[]]  # by index: when each row group can be read
        self.products: deque[int] = deque(maxlen=spec.command_queue)  # when the last ones were taken
        self.rows: deque[int] = deque(maxlen=spec.command_queue)
        self.table, self.table_softmax, self.norm_index = 0, False, 0  # last users of the code table, of the constants
        self.codes: deque[int] = deque(maxlen=spec.softmax.max_rows)  # when the last code of each row was taken
        self.array_bound = False  # the last product is limited by its beats
        self.adding, self.port_share = 0, 1.0  # until when columns are added to residual memory; channels that can be
        # read per cycle meanwhile
        self.block_words = block_words(COMMAND_FIELDS, spec)

    # Front end ------------------------------------------------------------------------------------------------

    def take(self, time: int, words: int) -> int:
        """Return when so many model words are taken from ``time`` on."""
        return ceil(self.source.take(time, words))

    def read_block(self) -> int:
        """Return when the block at the front is checked and its operands can follow."""
        begin = self.front if self.spec.command_queue else max(self.front, self.done[-1] + _NEXT)
        return self.take(begin, self.block_words) + 2

    def dispatch(self, queue: deque[int], time: int) -> int:
        """Return when a queue has taken a command that is there at ``time``."""
        return max(time, queue[0]) + 1 if queue and len(queue) == queue.maxlen else time + 1

    def load_table(self, command: Command, time: int) -> int:
        """Load the code table of a MATMUL, if it has one, from ``time`` on; return when its sets can follow."""
        if Flag.TABLE not in command.flags:
            return time
        softmax = command.target is Target.SOFTMAX
        if Flag.NEW_TABLE in command.flags or softmax != self.table_softmax:
            time = max(time, self.done[self.table]) + 1
            time = self.take(time, self.spec.gelu.entries) if Flag.NEW_TABLE in command.flags else time
        self.table, self.table_softmax = command.fields["index"], softmax
        return time

    def load_constants(self, command: Command, time: int) -> int:
        """Load the affine constants of a NORM from ``time`` on; return when they are there."""
        time = max(time, self.done[self.norm_index]) + 1
        self.norm_index = command.fields["index"]
        return self.take(time, ceil_div(command.fields["columns"] * 64, self.spec.model_bits))

    def load_set(self, command: Command, number: int, time: int) -> tuple[int, int]:
        """Load set ``number`` of a MATMUL from ``time`` on; return when its channels and its weights are complete."""
        spec, f, flags = self.spec, command.fields, command.flags
        channels = f["set_tiles"] * spec.cols // self.group
        time += 1
        if Flag.KEY_BIAS not in flags:
            time = self.channels.fill(time, channels, self.group * 64 // spec.model_bits, self.source)
        if Flag.WEIGHTS_ACT not in flags:
            per_word = max(1, spec.weight_word_bits // spec.model_bits)
            return time, self.weights.fill(time, f["set_words"], per_word, self.source)
        begin = max(time, self.done[f["w_wait"]]) + 1
        per_word, per_tile = 5, 2
        if Flag.KEY_BIAS in flags:
            time = self.channels.fill(begin, channels, 0)
            per_word += spec.depth // spec.key_terms
            per_tile += 3 * spec.cols
        end = self.weights.fill(begin, f["set_words"], per_word) + per_tile * f["set_tiles"]
        self.steal(begin, end, f["set_words"], beside_itself=number > 0)
        return (end if Flag.KEY_BIAS in flags else time), end

    def steal(self, begin: int, end: int, words: int, *, beside_itself: bool) -> None:
        """Delay what the array does meanwhile by the memory reads that it loses to the loader.

        That is the command before, or, ``beside_itself``, an earlier set of the same one.
        """
        overlap = max(0, min(end, self.feeder) - begin)
        if not self.array_bound or not overlap:
            return
        lost = words * overlap // max(1, end - begin)
        self.feeder += lost
        self.last_beat += lost
        if not beside_itself:
            self.done[-1] += lost

    # Engines --------------------------------------------------------------------------------------------------

    def complete(self, time: int, written: list[int]) -> None:
        """Note when the next command is complete and when each of its row groups can be read."""
        self.done.append(max(self.done[-1] + 1, time))
        self.written.append(written)

    def readable(self, command: Command, group: int) -> int:
        """Return when a row group of operand A may be read."""
        writer = command.fields["a_wait"]
        written = self.written[writer]
        if Flag.WHOLE in command.flags or group >= len(written):
            return self.done[writer]
        return min(written[group], self.done[writer]) + _SEEN

    def matmul(self, command: Command, dispatched: int, time: int) -> tuple[int, int]:
        """Run a product, its sets loaded from ``time`` on; return when they are and its last beat."""
        spec, f = self.spec, command.fields
        softmax = command.target is Target.SOFTMAX
        beats = len(command.passes) * f["k_words"]
        drain = spec.cols // spec.drain_cols
        interval = max(drain, command.planes)
        latency = _READ + spec.mac.latency + _DRAIN + spec.requantize.latency + drain - 1  # to the tile's last columns
        table = spec.gelu.latency if Flag.TABLE in command.flags else 0
        tail = latency + (0 if softmax else table) + (
            4 if command.target is Target.RESIDUAL else 2 + command.planes)  # to the end of its writing
        taken = max(self.feeder, dispatched)
        self.products.append(taken)
        issue = taken + 2
        engine = self.take_rows(dispatched) if softmax else 0
        self.array_bound = beats >= interval
        step = max(beats, interval)
        written: list[int] = []
        for number in range(f["sets"]):
            channels, time = self.load_set(command, number, time)
            issue = max(issue, channels + 2, time + 2)
            if number and not softmax:  # row group follows row group, nothing is waited for
                first = max(issue + beats - 1, self.last_beat + interval) + (f["set_tiles"] - 1) * step
                ends = range(first, first + f["groups"] * f["set_tiles"] * step, f["set_tiles"] * step)
                self.last_beat, issue, written = ends[-1], ends[-1] + 1, [end + tail for end in ends]
            else:
                written = []
                for group in range(f["groups"]):
                    if number == 0:
                        issue = max(issue, self.readable(command, group))
                    if softmax and len(self.codes) == self.codes.maxlen:
                        issue = max(issue, self.codes[0] + 1)
                    first = max(issue + beats - 1, self.last_beat + interval + self.gap)
                    self.gap = 0
                    self.last_beat = first + (f["set_tiles"] - 1) * step
                    issue = self.last_beat + 1
                    if softmax:
                        engine = self.softmax_row(command, self.last_beat + latency, engine, table)
                        written.append(engine + 2 + command.planes)
                    else:
                        written.append(self.last_beat + tail)
            self.weights.release(issue + 2, f["set_words"])
            drained = self.last_beat + latency - spec.requantize.latency
            self.channels.release(drained, f["set_tiles"] * spec.cols // self.group)
            issue += 1
        self.feeder, self.front = issue, time + 1
        if command.target is Target.RESIDUAL:
            self.adding, self.port_share = self.last_beat + latency, min(1.0, spec.drain_cols * (1 - drain / step))
        self.gap = spec.command_gap
        if softmax:
            self.engine = engine + 3 + command.planes
        self.complete(written[-1] + 3, written)
        return time, self.last_beat

    def take_rows(self, dispatched: int) -> int:
        """Have the row engine take a command; return when its first column can be taken."""
        taken = max(self.engine, dispatched)
        self.rows.append(taken)
        return taken + 2

    def softmax_row(self, command: Command, last: int, engine: int, table: int) -> int:
        """Return when the row engine has taken a row of scores of which softmax had the last columns at ``last``."""
        spec, f = self.spec, command.fields
        begin = max(last + spec.softmax.latency + table, engine)
        self.codes.append(begin - table + ceil_div(f["columns"], spec.drain_cols))
        tile = max(spec.cols // spec.drain_cols, command.planes)
        return begin + max(f["row_tiles"] * tile, spec.softmax.row_interval(f["columns"]))

    def read_row(self, time: int, columns: int) -> int:
        """Return when a row group of the residual stream, of so many channels, is read from ``time`` on."""
        beside = max(0, min(self.adding - time, int(columns / self.port_share) if self.port_share else self.adding))
        return time + beside + columns - int(beside * self.port_share)

    def rows_of(self, command: Command, dispatched: int) -> int:
        """Run a command that makes rows without a product; return when its last operand was read."""
        spec, f = self.spec, command.fields
        time = read = self.take_rows(dispatched)
        written = []
        columns = f["row_tiles"] * max(spec.cols, command.planes)  # cycles
        unit = spec.layernorm
        for group in range(f["groups"] if command.opcode is not Opcode.LOAD else 0):
            if command.opcode is Opcode.NORM:
                read = self.read_row(max(read + 3 if group == 0 else read, self.readable(command, group)), f["columns"])
                time = max(time, read + unit.latency)
                rest = max(f["columns"], unit.min_length_full_rate) - f["columns"] + unit.pause
                read += rest
            time += columns
            written.append(time + 1 + command.planes)
        self.engine = time + (3 + command.planes if written else 1)
        self.complete(self.engine + 1, written)
        return read
