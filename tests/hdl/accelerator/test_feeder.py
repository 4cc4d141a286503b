# amaranth: UnusedElaboratable=no
import random

import pytest
from vitric.golden.spec.command import Flag, Opcode, pack_pass
from vitric.golden.spec.limits import field_limits
from vitric.hdl.accelerator.feeder import Feeder

from tests.hdl.accelerator.kit import SPECS, Ring, command, matrix, memory, name
from tests.hdl.stream_kit import plain, receive, run, send, stall_pattern


def passes(number, shift_count=2):
    """Fields of one to four passes, and the passes."""
    order = [(1, 1), (1, 0), (0, 1), (0, 0)][-number:] if number != 3 else [(2, 0), (1, 0), (0, 0)]
    shifts = [0] + [1, shift_count - 1, 1][:number - 1]
    codes = [pack_pass(a_plane=a, w_plane=w, shift=s, last=at == number - 1)
             for at, ((a, w), s) in enumerate(zip(order, shifts, strict=True))] + [0] * (4 - number)
    return {"passes01": codes[0] | codes[1] << 8, "passes23": codes[2] | codes[3] << 8}, [
        (a, w, s) for (a, w), s in zip(order, shifts, strict=True)]


def random_product(rng, spec, **fixed):
    number = rng.randint(1, 4)
    fields, order = passes(number, len(spec.mac.shifts))
    w_planes = max(w for _, w, _ in order) + 1
    k_words, set_tiles = rng.randint(1, 3), rng.randint(1, 2)
    fields = command(**{
        **fields, "k_words": k_words, "groups": rng.randint(1, 3), "sets": rng.randint(1, 3), "set_tiles": set_tiles,
        "tile_words": w_planes * k_words, "set_words": set_tiles * w_planes * k_words, "a_base": rng.randrange(8),
        "a_group_stride": rng.randrange(8), "a_plane_stride": rng.randrange(8), **fixed})
    return fields, order


def beats_of(fields, order, spec, activations, weights):
    """The loops of the docstring; ``weights`` is an iterator over the ring's words."""
    for _ in range(fields["sets"]):
        ring = [next(weights) for _ in range(fields["set_words"])]
        for group in range(fields["groups"]):
            for tile in range(fields["set_tiles"]):
                for at, (a_plane, w_plane, shift) in enumerate(order):
                    for k in range(fields["k_words"]):
                        word = fields["a_base"] + group * fields["a_group_stride"] + k
                        a = activations[word + a_plane * fields["a_plane_stride"]]
                        last = at == len(order) - 1 and k == fields["k_words"] - 1
                        yield {
                            "a": [[value & (1 << spec.a_bits) - 1 for value in row] for row in a],
                            "w": ring[tile * fields["tile_words"] + w_plane * fields["k_words"] + k],
                            "first": int(at == 0 and k == 0), "last": int(last), "shift": shift if k == 0 else 0,
                        }


class Bench:
    """A feeder with its memory, its weight ring, and a second reader that steals the memory's port."""

    def __init__(self, spec, products, *, seed, ring_stall="always", steal=0.0):
        rng = random.Random(seed)
        self.dut = dut = Feeder(spec)
        self.spec = spec
        self.activations = [matrix(rng, spec.rows, spec.depth, spec.element_bits) for _ in range(spec.act_words)]
        count = sum(f["sets"] * f["set_words"] for f, _ in products)
        self.words = [matrix(rng, spec.cols, spec.depth, spec.w_bits, signed=True) for _ in range(count)]
        ring = iter(self.words)
        self.expected = [beat for fields, order in products
                         for beat in beats_of(fields, order, spec, self.activations, ring)]
        self.commands = [fields for fields, _ in products]
        self.rng, self.steal = rng, steal
        self.ring = Ring(dut.weights, self.words, spec.weight_words, stall=ring_stall, seed=seed)
        self.background = [self.memory, self.ring.run]

    async def memory(self, ctx):
        """The port serves the thief in a granted cycle; the feeder must not lose what it holds."""
        dut = self.dut
        while True:
            stolen = ctx.get(dut.read_free) and self.rng.random() < self.steal
            ctx.set(dut.read_stolen, stolen)
            _, _, en, address, free = await ctx.tick().sample(dut.read.en, dut.read.address, dut.read_free)
            if stolen:
                assert free and not en
                ctx.set(dut.read.data, matrix(self.rng, self.spec.rows, self.spec.depth, self.spec.element_bits))
            elif en:
                ctx.set(dut.read.data, self.activations[address])


@pytest.mark.parametrize("stall", ["always", "random", "bursts"])
@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_products(spec, stall):
    rng = random.Random(f"{spec.name}/{stall}")
    bench = Bench(spec, [random_product(rng, spec) for _ in range(10)], seed=1, ring_stall=stall)
    received, commands = [], []

    async def sender(ctx):
        await send(ctx, bench.dut.i, bench.commands, stall=stall)

    async def receiver(ctx):
        received.extend(await receive(ctx, bench.dut.o, len(bench.expected), stall=stall, seed=2))
        assert ctx.get(bench.ring.port.level) == 0 and not ctx.get(bench.dut.bad_set)

    async def command_receiver(ctx):
        commands.extend(await receive(ctx, bench.dut.o_command, len(bench.commands), stall=stall, seed=3))

    run(bench.dut, sender, receiver, command_receiver, background=bench.background)
    assert received == bench.expected
    assert commands == bench.commands


@pytest.mark.parametrize("change", [-1, 1, "half", "long"])
@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_a_set_of_other_words_than_its_tiles(spec, change):
    """Seen with the first row group; ``long`` has an odd number of tiles as large as a set, so that no bit may miss."""
    fields, order = random_product(random.Random(5), spec, groups=2, sets=2, set_tiles=2)
    if change == "long":
        limits = field_limits(spec, Opcode.MATMUL)
        fields |= {"set_tiles": limits["set_tiles"] - 1, "k_words": 1,
                   "tile_words": limits["tile_words"], "set_words": limits["set_words"]}
    else:
        fields["set_words"] = fields["set_words"] // 2 if change == "half" else fields["set_words"] + change
    dut = Feeder(spec)
    beats = 2 * fields["set_tiles"] * fields["k_words"] * len(order)  # of both row groups

    async def testbench(ctx):
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.o_command.ready, 1)
        ctx.set(dut.weights.level, spec.weight_words)
        await send(ctx, dut.i, [fields])
        for _ in range(beats):
            await ctx.tick()
        assert ctx.get(dut.bad_set)

    run(dut, testbench)


@pytest.mark.parametrize("steal", [0.3, 0.8])
@pytest.mark.parametrize("stall", ["always", "random"])
def test_port_shared_with_another_reader(steal, stall):
    """The memory's port changes between the look at ``read_free`` and the clock only by the array's ``ready``."""
    spec, rng = SPECS[0], random.Random(8)
    bench = Bench(spec, [random_product(rng, spec) for _ in range(8)], seed=2, steal=steal)
    dut, active, received = bench.dut, stall_pattern(stall, 4), []

    async def everything(ctx):
        """One testbench, so that ``ready`` is settled before the port is given away."""
        commands = list(bench.commands)
        ctx.set(dut.o_command.ready, 1)
        while len(received) < len(bench.expected):
            ctx.set(dut.i.valid, bool(commands))
            if commands:
                ctx.set(dut.i.payload, commands[0])
            ready = next(active)
            ctx.set(dut.o.ready, ready)
            stolen = bool(ctx.get(dut.read_free)) and bench.rng.random() < steal
            ctx.set(dut.read_stolen, stolen)
            _, _, valid, beat, en, address, taken = await ctx.tick().sample(
                dut.o.valid, dut.o.payload, dut.read.en, dut.read.address, dut.i.ready)
            if commands and taken:
                commands.pop(0)
            if valid and ready:
                received.append(plain(beat))
            if stolen:
                assert not en
                ctx.set(dut.read.data, matrix(bench.rng, spec.rows, spec.depth, spec.element_bits))
            elif en:
                ctx.set(dut.read.data, bench.activations[address])

    run(dut, everything, background=[bench.ring.run])
    assert received == bench.expected


@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_one_beat_per_cycle(spec):
    """No gap between steps, passes, tiles, row groups and sets, once the weights are there; latency 3 cycles."""
    rng = random.Random(6)
    fields, order = random_product(rng, spec, k_words=2, tile_words=4, set_tiles=1, set_words=4, sets=3, groups=5)
    bench = Bench(spec, [(fields, order)], seed=3)
    dut = bench.dut

    async def sender(ctx):
        await ctx.tick().repeat(20)  # the ring fills
        await send(ctx, dut.i, bench.commands)

    async def receiver(ctx):
        assert await receive(ctx, dut.o, len(bench.expected)) == bench.expected

    async def command_receiver(ctx):
        await receive(ctx, dut.o_command, 1)

    checkers = run(dut, sender, receiver, command_receiver, background=bench.background)
    beats = checkers["o"].transfers
    assert beats == list(range(beats[0], beats[0] + len(beats)))
    # taken in IDLE, one cycle of WAIT, then the loops run
    assert beats[0] - checkers["i"].transfers[0] == 2 + 2


def test_small_set_after_a_large_one_whose_last_read_waits():
    """The words of the set before are in the ring until its last beat is read: they are not the next set's."""
    spec = SPECS[0]
    one, order = passes(1)
    large = command(**one, k_words=8, groups=1, sets=1, set_tiles=1, tile_words=8, set_words=8, a_group_stride=1)
    small = command(**one, k_words=2, groups=1, sets=1, set_tiles=1, tile_words=2, set_words=2, a_group_stride=1)
    bench = Bench(spec, [(large, order), (small, order)], seed=4)
    dut, words = bench.dut, bench.words
    bench.ring.words = words[:8]
    received = []

    async def sender(ctx):
        await send(ctx, dut.i, bench.commands)

    async def receiver(ctx):
        received.extend(await receive(ctx, dut.o, 6))
        await ctx.tick().repeat(20)  # the array is busy; both commands are in the feeder by now
        received.extend(await receive(ctx, dut.o, 2))
        await ctx.tick().repeat(5)
        bench.ring.words = words
        received.extend(await receive(ctx, dut.o, 2))

    async def command_receiver(ctx):
        await receive(ctx, dut.o_command, 2)

    run(dut, sender, receiver, command_receiver, background=bench.background)
    assert received == bench.expected


@pytest.mark.parametrize("opcode", [Opcode.MATMUL, Opcode.NORM])
def test_waits_for_results_before_it(opcode):
    spec = SPECS[0]
    one, order = passes(1)
    fields = command(**one, opcode=opcode, a_wait=3, k_words=1, groups=1, sets=1, set_tiles=1, tile_words=1,
                     set_words=1, columns=1)
    bench = Bench(spec, [(fields, order)], seed=5)
    dut = bench.dut
    port = dut.o if opcode == Opcode.MATMUL else dut.o_norm

    async def testbench(ctx):
        ctx.set(dut.o_command.ready, 1)
        await send(ctx, dut.i, [fields])
        for done in range(3):
            ctx.set(dut.done, done)
            for _ in range(6):
                _, _, valid = await ctx.tick().sample(port.valid)
                assert not valid
        ctx.set(dut.done, 3)
        await receive(ctx, port, 1)

    run(dut, testbench, background=bench.background)


def test_other_commands_are_handed_on():
    spec = SPECS[0]
    bench = Bench(spec, [], seed=6)
    dut = bench.dut
    commands = [command(opcode=code, index=at, groups=1, columns=1, flags=int(Flag.TRANSPOSE))
                for at, code in enumerate((Opcode.LOAD, Opcode.INPUT, Opcode.LOAD))]

    async def sender(ctx):
        await send(ctx, dut.i, commands, stall="random")

    async def receiver(ctx):
        assert await receive(ctx, dut.o_command, len(commands), stall="random", seed=1) == commands

    checkers = run(dut, sender, receiver, background=bench.background)
    assert not checkers["o"].transfers and not checkers["o_norm"].transfers


def test_norm_rows_come_from_residual_memory():
    spec, rng = SPECS[0], random.Random(9)
    contents = matrix(rng, spec.residual_words, spec.rows, 16, signed=True)
    fields = command(opcode=Opcode.NORM, groups=2, columns=5, a_base=3, a_group_stride=7)
    dut = Feeder(spec)

    async def testbench(ctx):
        ctx.set(dut.o_command.ready, 1)
        await send(ctx, dut.i, [fields])
        beats = await receive(ctx, dut.o_norm, 10, stall="random")
        assert [beat["x"] for beat in beats] == [contents[3 + 7 * g + c] for g in range(2) for c in range(5)]
        assert ctx.get(dut.norm_command.columns) == 5

    run(dut, testbench, background=[
        memory(dut.residual, dict(enumerate(contents)),
               junk=[0] * spec.rows)])
