"""What the tests of the accelerator's parts share: specs, commands as field dictionaries, memories around a part."""

from dataclasses import replace

from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import COMMAND_FIELDS, Opcode

from tests.hdl.stream_kit import plain, stall_pattern

_ONE = [
    AcceleratorSpec(name="2x2x4", rows=2, cols=2, depth=4, model_bits=32, max_tokens=16, max_embed=16, max_classes=64,
                    act_words=64, residual_words=64, weight_words=32, channel_words=16),
    AcceleratorSpec(name="8x8x8", rows=8, cols=8, depth=8, model_bits=64, max_tokens=64, max_embed=16, max_classes=64,
                    a_bits=2, act_words=100, residual_words=108, weight_words=32, channel_words=32),
    AcceleratorSpec(name="4x4x16", rows=4, cols=4, depth=16, model_bits=128, max_tokens=32, max_embed=16,
                    max_classes=64, a_bits=5, w_bits=6, act_words=64, residual_words=64, weight_words=32,
                    channel_words=16),
]

SPECS = [*_ONE, *(replace(spec, name=f"{spec.name} by {columns}", drain_cols=columns)
                  for spec, columns in zip(_ONE, (2, 4, 2), strict=True))]
"""depth = 2, 1 and 4 times cols, each model word width, equal and different operand widths; then the same with 2
columns per cycle (a whole tile), 4 (half a tile, several model words of channel words) and 2 (one such model word)."""


def name(spec):
    return spec.name


def command(**fields):
    """A command: ``fields``, the others zero."""
    assert not fields.keys() - set(COMMAND_FIELDS)
    return {**dict.fromkeys(COMMAND_FIELDS, 0), "opcode": int(Opcode.MATMUL), **fields}


def part(layout, fields):
    """The fields of a command that a layout such as ``PRODUCT_COMMAND`` has."""
    return {key: int(fields[key]) for key in layout.members}


def matrix(rng, rows, cols, bits, *, signed=False):
    """Random integers as a list of rows."""
    low, high = (-(1 << bits - 1), 1 << bits - 1) if signed else (0, 1 << bits)
    return [[rng.randrange(low, high) for _ in range(cols)] for _ in range(rows)]


def drive(ctx, target, values):
    """Set several signals by name."""
    for key, value in values.items():
        ctx.set(getattr(target, key), value)


def memory(port, contents, *, junk):
    """Return a background testbench: a memory with a latency of one cycle at the ``port`` of a reader.

    Its data hold until the next read.
    ``contents`` maps addresses to values; every other address gives ``junk``.
    """
    async def run(ctx):
        while True:
            _, _, en, address = await ctx.tick().sample(port.en, port.address)
            if en:
                ctx.set(port.data, contents.get(address, junk))
    return run


class Ring:
    """Memory side of a ring as a background testbench: words appear at random times unless ``stall`` is "always".

    ``depth`` is that of the memory: for the channel ring ``channel_words / channel_group``. What is read must be there:
    filled, and not freed earlier than in the cycle before. ``base`` words are freed, ``top`` have appeared.
    """

    def __init__(self, port, words, depth, *, stall="always", seed=0):
        self.port, self.words, self.depth, self.active = port, words, depth, stall_pattern(stall, seed)
        self.base = self.top = 0

    async def run(self, ctx):
        port, places = self.port, 2 * self.depth
        before, earlier = 0, 0  # base one and two cycles ago
        while True:
            _, _, en, address, freed = await ctx.tick().sample(port.en, port.address, port.freed)
            self.base += (freed - self.base) % places
            assert self.base <= self.top, "release of words that are not there"
            if en:
                at = earlier + (address - earlier) % self.depth
                assert at < self.top, "read of a word that is not there"
                ctx.set(port.data, self.words[at])
            if next(self.active) and self.top < min(len(self.words), before + self.depth):
                self.top += 1
            before, earlier = self.base, before
            ctx.set(port.filled, self.top % places)


class Recorder:
    """Background testbench: the cycles in which ``valid`` is 1, and the values of ``signals`` then.

    ``values`` holds plain values, of several signals tuples; for ports without ``ready``.
    """

    def __init__(self, valid, *signals):
        self.signals = valid, *signals
        self.cycles: list[int] = []
        self.values: list = []

    async def run(self, ctx):
        cycle = 0
        while True:
            _, _, valid, *values = await ctx.tick().sample(*self.signals)
            if valid:
                self.cycles.append(cycle)
                values = [plain(value) for value in values]
                self.values.append(values[0] if len(values) == 1 else tuple(values))
            cycle += 1
