# amaranth: UnusedElaboratable=no
import random

import pytest
from amaranth.hdl import Value
from vitric.golden.spec.command import Flag, Opcode, Target, pack_pass
from vitric.golden.spec.limits import field_limits
from vitric.hdl.accelerator.feeder import Feeder
from vitric.hdl.accelerator.layouts import DRAIN_COMMAND, PRODUCT_COMMAND, WRITE_COMMAND

from tests.hdl.accelerator.kit import SPECS, Recorder, Ring, command, matrix, name, part
from tests.hdl.stream_kit import plain, run, send, stall_pattern

LATENCY = 4  # from the loop counters to the array


def passes(number, shift_count=2):
    """Fields of one to four passes, and the passes."""
    order = [(1, 1), (1, 0), (0, 1), (0, 0)][-number:] if number != 3 else [(2, 0), (1, 0), (0, 0)]
    shifts = [0] + [1, shift_count - 1, 1][:number - 1]
    codes = [pack_pass(a_plane=a, w_plane=w, shift=s, last=at == number - 1)
             for at, ((a, w), s) in enumerate(zip(order, shifts, strict=True))] + [0] * (4 - number)
    fields = {"passes01": codes[0] | codes[1] << 8, "passes23": codes[2] | codes[3] << 8}
    return fields, [(a, w, s) for (a, w), s in zip(order, shifts, strict=True)]


def random_product(rng, spec, *, number=None, **fixed):
    fields, order = passes(number or rng.randint(1, 4), len(spec.mac.shifts))
    w_planes = max(w for _, w, _ in order) + 1
    k_words, set_tiles, code_planes = rng.randint(1, 3), rng.randint(1, 2), rng.randint(1, -(-8 // spec.a_bits))
    fields = command(**{
        **fields, "opcode": Opcode.MATMUL | rng.choice(list(Target)) << 8, "flags": code_planes - 1 << 8,
        "k_words": k_words, "groups": rng.randint(1, 3), "sets": rng.randint(1, 3), "set_tiles": set_tiles,
        "a_base": rng.randrange(8), "a_group_stride": rng.randrange(8), "a_plane_stride": rng.randrange(8), **fixed})
    tile_words = w_planes * fields["k_words"]
    fields |= {"tile_words": tile_words, "set_words": fields["set_tiles"] * tile_words}
    return {**fields, "sets": 1} if is_scores(fields) else fields, order


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


def spacing(fields, spec):
    """Cycles from the last beat of a tile to that of the next one, at least."""
    return max(spec.cols // spec.drain_cols, (fields["flags"] >> 8) + 1)


def is_scores(fields):
    return fields["opcode"] >> 8 == Target.SOFTMAX


class Bench:
    """A feeder with its memory, which has a second reader, its rings, the queues behind it, and softmax's room."""

    def __init__(self, spec, products, *, seed=0, stall="always", steal=0.0, room=1.0):
        self.spec, self.rng, self.stall, self.steal, self.room = spec, random.Random(seed), stall, steal, room
        self.dut = dut = Feeder(spec)
        self.products = [fields for fields, _ in products]
        self.activations = [matrix(self.rng, spec.rows, spec.depth, spec.element_bits) for _ in range(spec.act_words)]
        count = sum(f["sets"] * f["set_words"] for f in self.products)
        self.words = [matrix(self.rng, spec.cols, spec.depth, spec.w_bits, signed=True) for _ in range(count)]
        ring = iter(self.words)
        self.expected = [beat for fields, order in products
                         for beat in beats_of(fields, order, spec, self.activations, ring)]
        self.ring = Ring(dut.weights, self.words, spec.weight_words, stall=stall, seed=seed)
        self.beats = Recorder(dut.o.valid, dut.o.payload)
        self.begins = Recorder(dut.row_begins, dut.row_room)
        # Of each product: its beats. Of each set: its beats, and the words of both rings up to its last.
        self.spans, self.sets, beat, channels, words = [], [], 0, 0, 0
        for fields, order in products:
            size = fields["groups"] * fields["set_tiles"] * len(order) * fields["k_words"]
            self.spans.append((fields, range(beat, beat + fields["sets"] * size)))
            for _ in range(fields["sets"]):
                channels += fields["set_tiles"] * spec.cols // spec.channel_group
                words += fields["set_words"]
                self.sets.append((beat, beat + size, channels, words))
                beat += size
        self.drains, self.writes, self.filled = [], [], [(0, 0)]
        self.background = [self.memory, self.ring.run, self.beats.run, self.begins.run, self.channels, self.queues]

    async def memory(self, ctx):
        """The feeder must leave the port alone in the cycle after the next; then somebody else reads."""
        dut, raw, coming = self.dut, Value.cast(self.dut.read.data), [False, False]
        while True:
            wanted = self.rng.random() < self.steal
            ctx.set(dut.wanted, wanted)
            ctx.set(dut.row_room, self.rng.random() < self.room)
            _, _, en, address = await ctx.tick().sample(dut.read.en, dut.read.address)
            stolen = coming.pop(0)
            coming.append(wanted)
            assert not (stolen and en)
            if stolen:
                ctx.set(raw, self.rng.getrandbits(len(raw)))
            elif en:
                ctx.set(dut.read.data, self.activations[address])

    async def channels(self, ctx):
        """Channel words come when the ring has room for them, and go with their set; ``filled`` notes both rings."""
        depth = self.spec.channel_words // self.spec.channel_group
        active, place = stall_pattern(self.stall, 11), 0
        while True:
            freed = max([0, *(channels for _, end, channels, _ in self.sets if end <= len(self.beats.cycles))])
            place += next(active) and place < min(self.sets[-1][2], freed + depth)
            await ctx.tick()
            self.filled.append((place, self.ring.top))
            ctx.set(self.dut.channels_filled, place % (2 * depth))

    async def queues(self, ctx):
        """``ready`` falls with a transfer only."""
        dut, ports = self.dut, ((self.dut.o_drain, self.drains), (self.dut.o_write, self.writes))
        active = stall_pattern(self.stall, 12)
        full = [False, False]
        while True:
            for at, (port, _) in enumerate(ports):
                full[at] = full[at] and not next(active)
                ctx.set(port.ready, not full[at])
            values = await ctx.tick().sample(*(s for port, _ in ports for s in (port.valid, port.payload)), dut.i.valid)
            for at, (_, received) in enumerate(ports):
                valid, payload = values[2 + 2 * at:4 + 2 * at]
                if valid and not full[at]:
                    received.append(plain(payload))
                    full[at] = self.stall != "always"

    def run(self, *testbenches, delay=1):
        """Send all products and wait for their beats; returns the checkers."""
        async def sender(ctx):
            await ctx.tick().repeat(delay)
            await send(ctx, self.dut.i, [part(PRODUCT_COMMAND, f) for f in self.products], stall=self.stall)

        async def waiter(ctx):
            while len(self.beats.cycles) < len(self.expected):
                await ctx.tick()
            await ctx.tick().repeat(20)
            assert self.ring.base == len(self.words) and not ctx.get(self.dut.bad_set)

        checkers = run(self.dut, sender, waiter, *testbenches, background=self.background, limit=20_000)
        self.check()
        return checkers

    def check(self):
        """Beats and commands, and what the engines behind rely on."""
        spec, cycles = self.spec, self.beats.cycles
        assert self.beats.values == self.expected
        assert self.drains == [part(DRAIN_COMMAND, f) for f in self.products]
        assert self.writes == [part(WRITE_COMMAND, f) for f in self.products if not is_scores(f)]
        for begin, _, *needed in self.sets:
            assert all(a >= b for a, b in zip(self.filled[cycles[begin] - LATENCY], needed, strict=True))
        begins, before = [], 0
        for fields, span in self.spans:
            ends = [cycles[at] for at in span if self.expected[at]["last"]]
            assert all(b - a >= spacing(fields, spec) for a, b in zip(ends, ends[1:], strict=False))
            assert ends[0] >= before
            before = ends[-1] + spacing(fields, spec) + spec.command_gap
            if is_scores(fields):
                begins += [cycles[at] - LATENCY for at in span[::len(span) // fields["groups"]]]
        assert self.begins.cycles == begins and all(self.begins.values)


@pytest.mark.parametrize("stall", ["always", "random", "bursts"])
@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_products(spec, stall):
    """Also beside another reader of activation memory, and with room in softmax now and then."""
    rng, disturb = random.Random(f"{spec.name}/{stall}"), {} if stall == "always" else {"steal": 0.5, "room": 0.4}
    Bench(spec, [random_product(rng, spec) for _ in range(6)], stall=stall, **disturb).run()


@pytest.mark.parametrize("k_words", [1, 4])
@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_interval(spec, k_words):
    """With everything there: each beat as early as the docstring allows."""
    rng = random.Random(k_words)
    products = [random_product(rng, spec, number=1, k_words=k_words, sets=sets, set_tiles=tiles, groups=groups,
                               opcode=Opcode.MATMUL | target << 8, flags=planes - 1 << 8)
                for sets, tiles, groups, target, planes in (
                    (2, 1, 3, Target.CODES, 2), (1, 1, 2, Target.RESIDUAL, 1), (1, 1, 5, Target.SOFTMAX, 1))]
    bench = Bench(spec, products)
    checkers = bench.run(delay=40)  # the rings fill
    cycle, end, expected = checkers["i"].transfers[0] + 1 + LATENCY, 0, []  # START is that cycle
    for fields, span in bench.spans:
        for at in span:
            begins_set = at and at in [begin for begin, *_ in bench.sets]
            cycle += 1 if not begins_set else 3 if at == span.start else 2
            if bench.expected[at]["last"]:
                cycle = max(cycle, end)
                end = cycle + spacing(fields, spec)
            expected.append(cycle)
        end += spec.command_gap
    assert bench.beats.cycles == expected


@pytest.mark.parametrize("engine", ["product", "rows"])
@pytest.mark.parametrize("whole", [False, True])
def test_waits_for_row_groups(engine, whole):
    """Each row group for the engine at ``a_wait``, or all for the command; a second set for nothing."""
    spec = SPECS[0]
    fields, order = random_product(random.Random(3), spec, sets=2, groups=3, a_wait=3, opcode=Opcode.MATMUL,
                                   flags=int(Flag.WHOLE) if whole else 0)
    bench = Bench(spec, [(fields, order)])
    dut, words = bench.dut, bench.words
    bench.ring.words = words[:fields["set_words"]]
    size = len(bench.expected) // 6

    async def others(ctx):
        async def step(done, index, groups, beats):
            ctx.set(dut.done, done)
            ctx.set(getattr(dut, engine), {"index": index, "groups": groups})
            await ctx.tick().repeat(40)
            assert len(bench.beats.cycles) == beats

        await step(1, 2, 3, 0)
        for groups in range(4):
            await step(2, 3, groups, 0 if whole else groups * size)
        await step(3 if whole else 2, 4, 0, 3 * size)
        bench.ring.words = words

    bench.run(others)


@pytest.mark.parametrize("spec", SPECS[2:4], ids=name)
def test_room_in_softmax(spec):
    """Wanted by the first beat of a row group only, and only if it is one of scores."""
    rng = random.Random(4)
    scores = random_product(rng, spec, groups=4, set_tiles=2, opcode=Opcode.MATMUL | Target.SOFTMAX << 8)
    codes = random_product(rng, spec, opcode=Opcode.MATMUL | Target.CODES << 8)
    bench = Bench(spec, [codes, scores, codes], room=0.0)
    before, size = len(bench.spans[0][1]), len(bench.spans[1][1]) // 4

    async def others(ctx):
        for group in range(4):
            await ctx.tick().repeat(40)
            assert len(bench.beats.cycles) == before + group * size
            bench.room = 1.0
            await ctx.tick().sample(bench.dut.row_begins).until(bench.dut.row_begins)
            bench.room = 0.0

    bench.run(others)


@pytest.mark.parametrize("change", [-1, 1, "half", "long"])
@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_a_set_of_other_words_than_its_tiles(spec, change):
    """Seen with the first row group; ``long`` has an odd number of tiles as large as a set, so that no bit may miss."""
    fields, order = random_product(random.Random(5), spec, groups=2, sets=2, set_tiles=2, opcode=Opcode.MATMUL, flags=0)
    if change == "long":
        limits = field_limits(spec, Opcode.MATMUL)
        fields |= {"set_tiles": limits["set_tiles"] - 1, "k_words": 1,
                   "tile_words": limits["tile_words"], "set_words": limits["set_words"]}
    else:
        fields["set_words"] = fields["set_words"] // 2 if change == "half" else fields["set_words"] + change
    dut = Feeder(spec)
    ends = Recorder(dut.o.valid & dut.o.p.last)

    async def testbench(ctx):
        for port in (dut.o_drain, dut.o_write):
            ctx.set(port.ready, 1)
        ctx.set(dut.weights.filled, spec.weight_words)
        ctx.set(dut.channels_filled, spec.channel_words // spec.channel_group)
        await send(ctx, dut.i, [part(PRODUCT_COMMAND, fields)])
        while len(ends.cycles) < fields["set_tiles"]:
            await ctx.tick()
        assert ctx.get(dut.bad_set)

    run(dut, testbench, background=[ends.run])


@pytest.mark.parametrize("full", ["o_drain", "o_write"])
@pytest.mark.parametrize("target", [Target.CODES, Target.SOFTMAX])
def test_a_product_goes_to_both_engines_at_once(full, target):
    """Not before both have room, and not to the writeback if its results are scores."""
    dut = Feeder(SPECS[0])
    ports = {"o_drain": dut.o_drain, "o_write": dut.o_write}

    async def testbench(ctx):
        ctx.set(dut.i.payload, part(PRODUCT_COMMAND, command(opcode=Opcode.MATMUL | target << 8)))
        ctx.set(dut.i.valid, 1)
        for ready in (0, 0, 0, 1):
            for key, port in ports.items():
                ctx.set(port.ready, ready or key != full)
            assert ctx.get(dut.i.ready) == ready
            for key, port in ports.items():
                taken = ready and not (key == "o_write" and target is Target.SOFTMAX)
                assert ctx.get(port.valid & port.ready) == taken
            await ctx.tick()

    run(dut, testbench)
