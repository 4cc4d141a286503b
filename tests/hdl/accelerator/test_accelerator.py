# amaranth: UnusedElaboratable=no
"""One whole machine in Amaranth's simulator, for the stream rules at its ports; the bulk is in tests/sim."""

from dataclasses import replace

import pytest
import torch
from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator
from vitric.compiler.compile import compile_model
from vitric.compiler.cycles import predict
from vitric.compiler.decode import read_header
from vitric.golden.integer.random import random_integer_vit
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.spec.command import VERSION, VERSION_BITS, ErrorCode, Opcode, Target
from vitric.golden.spec.vit import VitConfig
from vitric.hdl.accelerator import Accelerator

from tests.hdl.stream_kit import plain, receive, run, send
from tests.sim.damage import changed, find, operand_positions

SPEC = SPECS["tiny"]
CONFIG = VitConfig(image_size=2, patch_size=2, in_chans=1, num_classes=3, embed_dim=4, depth=1, num_heads=1,
                   mlp_ratio=1.0)
MODEL = random_integer_vit(CONFIG, seed=2, spec=SPEC, edge_bits=4)
COMPILED = compile_model(MODEL, SPEC)
WORDS = COMPILED.stream.words
IMAGES = torch.randint(0, 256, (3, 1, 2, 2), generator=torch.Generator().manual_seed(1))


CYCLES = predict(COMPILED.stream.commands(), SPEC).cycles
LIMIT = (CYCLES * 21 // 20).bit_length()
BEYOND = (1 << LIMIT) - CYCLES * 9 // 10
TIGHT = changed(COMPILED.stream, 0, version=VERSION | LIMIT << VERSION_BITS)  # the least that it needs
COLUMNS = COMPILED.input_words(IMAGES).tolist()
GOLDEN = MODEL(IMAGES).tolist()


def beats(key, items):
    return [{key: item, "last": int(at == len(items) - 1)} for at, item in enumerate(items)]


def test_ports():
    """Good, damaged behind INPUT, cut before it, good: the checkers on all ports see rule 2 kept, also in the flush."""
    place = COMPILED.stream.commands()[2].position + 3
    damaged = [*WORDS[:place], WORDS[place] ^ 1, *WORDS[place + 1:]]
    streams = [WORDS, damaged, WORDS[:20], WORDS]
    dut = Accelerator(SPEC)
    logits, status = [], []

    async def model(ctx):
        for words in streams:
            await send(ctx, dut.model, beats("data", words), stall="random", seed=1)

    async def pixels(ctx):
        for image in COLUMNS:
            await send(ctx, dut.i, beats("pixel", image), stall="random", seed=2)

    async def output(ctx):
        logits.extend(await receive(ctx, dut.o, 6, stall="bursts", seed=3))

    async def statuses(ctx):
        assert not ctx.get(dut.busy)
        for _ in streams:
            status.extend(await receive(ctx, dut.status, 1, stall="random", seed=4))
        await ctx.tick()
        assert not ctx.get(dut.busy)

    checkers = run(dut, model, pixels, output, statuses, limit=30_000)
    assert logits == GOLDEN[0] + GOLDEN[2]
    assert [item["error"] for item in status] == [ErrorCode.OK, ErrorCode.BAD_CRC, ErrorCode.BAD_LENGTH, ErrorCode.OK]
    assert status[1]["command"] == 3
    o, ends = checkers["o"].transfers, checkers["status"].transfers
    assert o[2] < ends[0] and ends[2] < o[3] and o[5] < ends[3]  # a status comes behind its logits


def test_nothing_is_taken_before_the_status():
    """The next stream and image wait until the status is taken; `busy` says so."""
    dut = Accelerator(SPEC)
    sim = Simulator(dut)
    sim.add_clock(1e-6)

    async def testbench(ctx):
        await send(ctx, dut.model, beats("data", WORDS[:7]))
        ctx.set(dut.model.valid, 1)
        ctx.set(dut.i.valid, 1)
        for _ in range(30):
            await ctx.tick()
            assert not ctx.get(dut.model.ready) and not ctx.get(dut.i.ready)
            assert ctx.get(dut.busy)
        assert ctx.get(dut.status.valid)
        assert plain(ctx.get(dut.status.payload))["error"] == ErrorCode.BAD_LENGTH
        ctx.set(dut.status.ready, 1)
        for cycle in range(1, 5):  # the core is cleared
            await ctx.tick()
            assert ctx.get(dut.model.ready) == (cycle == 4) and not ctx.get(dut.busy)
            assert not ctx.get(dut.i.ready)

    sim.add_testbench(testbench)
    sim.run()


def infer(dut, words, image, *, late=(), pause=0, logits=3):
    """Run one stream and one image, with ``pause`` cycles before the words and columns at the places ``late``."""
    results = {}

    def source(port, key, items):
        async def testbench(ctx):
            items_left = beats(key, items)
            places = sorted(place for name, place in late if name == key)
            for begin, end in zip([0, *places], [*places, len(items_left)], strict=True):
                if begin:
                    await ctx.tick().repeat(pause)
                await send(ctx, port, items_left[begin:end])
        return testbench

    async def sink(ctx):
        results["logits"] = await receive(ctx, dut.o, logits)
        results["status"], = await receive(ctx, dut.status, 1)

    checkers = run(dut, source(dut.model, "data", words), source(dut.i, "pixel", image), sink, limit=60_000)
    return results, checkers


def test_one_stream_for_any_number_of_columns_per_cycle():
    """A stream is not compiled for ``drain_cols``; the logits, three of them, leave one by one."""
    dut = Accelerator(replace(SPEC, drain_cols=2))
    results, _ = infer(dut, WORDS, COLUMNS[1])
    assert results["status"] == {"error": ErrorCode.OK, "command": len(COMPILED.stream.commands())}
    assert results["logits"] == GOLDEN[1]


def test_late_words_and_columns_are_waited_for():
    """Each pause is longer than what the stream may take beyond its own cycles: in every kind of operand, in blocks, in
    the image.
    """
    words = {3, 25, len(TIGHT) - 30, len(TIGHT) - 1, *operand_positions(COMPILED.stream).values()}
    table = operand_positions(COMPILED.stream)["table"]
    words |= {table + 1}  # the entries of a word are taken one by one
    late = [("data", place) for place in words] + [("pixel", len(COLUMNS[0]) // 2)]
    results, _ = infer(Accelerator(SPEC), TIGHT, COLUMNS[0], late=late, pause=BEYOND)
    assert results["status"]["error"] == ErrorCode.OK and results["logits"] == GOLDEN[0]


def test_an_image_that_comes_late_is_waited_for():
    dut, results = Accelerator(SPEC), {}

    async def model(ctx):
        await send(ctx, dut.model, beats("data", TIGHT))

    async def pixels(ctx):
        await ctx.tick().repeat((1 << LIMIT) + 10)
        await send(ctx, dut.i, beats("pixel", COLUMNS[1]))

    async def sink(ctx):
        results["logits"] = await receive(ctx, dut.o, 3)
        results["status"], = await receive(ctx, dut.status, 1)

    run(dut, model, pixels, sink)
    assert results["status"]["error"] == ErrorCode.OK and results["logits"] == GOLDEN[1]


@pytest.mark.parametrize("limit", [0, 4])
def test_few_cycles_are_allowed(limit):
    """So few that the image is not asked for. A gap within the stream does not count."""
    words = changed(COMPILED.stream, 0, version=VERSION | limit << VERSION_BITS)
    ends = []
    for late in ([], [("data", 1)]):
        results, checkers = infer(Accelerator(SPEC), words, [], late=late, pause=100, logits=0)
        assert results["status"]["error"] == ErrorCode.STALLED
        ends.append(checkers["status"].first_valid)
    assert ends[1] == ends[0] + 100


def test_a_stream_may_take_as_many_cycles_as_it_says():
    """One that never ends: a product that waits for more weights than come. The rest is dropped, a word per cycle."""
    scores = find(COMPILED.stream, Opcode.MATMUL, Target.SOFTMAX)
    words = changed(COMPILED.stream, scores, set_words=SPEC.weight_words)
    limit = 1 << read_header(COMPILED.stream.data)["limit"]
    assert 2 * CYCLES <= limit < 4 * CYCLES
    results, checkers = infer(Accelerator(SPEC), words, COLUMNS[0], logits=0)
    assert results["status"]["error"] == ErrorCode.STALLED
    end = checkers["model"].transfers[0] + limit
    dropped = sum(cycle > end for cycle in checkers["model"].transfers)
    assert 0 <= checkers["status"].first_valid - end - dropped <= 4
    assert not checkers["o"].transfers


def test_abort_of_nothing():
    dut = Accelerator(SPEC)

    async def testbench(ctx):
        ctx.set(dut.abort, 1)
        await ctx.tick().repeat(3)
        for _ in range(5):
            await ctx.tick()
            assert not ctx.get(dut.status.valid) and not ctx.get(dut.busy) and ctx.get(dut.model.ready)

    run(dut, testbench)


def test_abort():
    """It ends what runs, and only that; the rest of the stream and of the image is dropped."""
    dut, status, logits = Accelerator(SPEC), [], []

    async def model(ctx):
        for _ in range(2):
            await send(ctx, dut.model, beats("data", WORDS))

    async def pixels(ctx):
        await send(ctx, dut.i, beats("pixel", COLUMNS[0]), stall="bursts")
        await send(ctx, dut.i, beats("pixel", COLUMNS[1]))

    async def host(ctx):
        await ctx.tick().until(dut.i.valid & dut.i.ready)
        ctx.set(dut.abort, 1)
        await ctx.tick().until(dut.status.valid)
        status.extend(await receive(ctx, dut.status, 1))
        ctx.set(dut.abort, 0)
        logits.extend(await receive(ctx, dut.o, 3))
        status.extend(await receive(ctx, dut.status, 1))

    run(dut, model, pixels, host)
    assert [item["error"] for item in status] == [ErrorCode.ABORTED, ErrorCode.OK]
    assert logits == GOLDEN[1]


@pytest.mark.parametrize("words", [2, 60, 400])
@pytest.mark.parametrize("how", ["reset", "restart"])
def test_reset_at_any_time(words, how):
    """For a source that cannot end its stream or its image: after a reset or a restart nothing of them is left."""
    dut = Accelerator(SPEC)
    reset = Signal() if how == "reset" else dut.restart
    sim = Simulator(ResetInserter(reset)(dut) if how == "reset" else dut)
    sim.add_clock(1e-6)
    again = []  # the first stream was broken off

    async def model(ctx):
        await send(ctx, dut.model, beats("data", WORDS)[:words])
        ctx.set(reset, 1)
        await ctx.tick()
        again.append(ctx.get(dut.busy))
        ctx.set(reset, 0)
        await send(ctx, dut.model, beats("data", WORDS))

    async def pixels(ctx):
        ctx.set(dut.i.payload, beats("pixel", COLUMNS[2])[0])
        while not again:
            ctx.set(dut.i.valid, 1)
            await ctx.tick()
        await send(ctx, dut.i, beats("pixel", COLUMNS[2]))

    async def sink(ctx):
        assert await receive(ctx, dut.o, 3) == GOLDEN[2]
        assert [item["error"] for item in await receive(ctx, dut.status, 1)] == [ErrorCode.OK]

    for testbench in (model, pixels, sink):
        sim.add_testbench(testbench)
    sim.run()
    assert again == [0]
