# amaranth: UnusedElaboratable=no
"""One whole machine in Amaranth's simulator, for the stream rules at its ports; the bulk is in tests/sim."""

import torch
from amaranth.sim import Simulator
from vitric.compiler.compile import compile_model
from vitric.golden.integer.random import random_integer_vit
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.spec.command import ErrorCode
from vitric.golden.spec.vit import VitConfig
from vitric.hdl.accelerator import Accelerator

from tests.hdl.stream_kit import plain, receive, run, send

SPEC = SPECS["tiny"]
CONFIG = VitConfig(image_size=2, patch_size=2, in_chans=1, num_classes=3, embed_dim=4, depth=1, num_heads=1,
                   mlp_ratio=1.0)
MODEL = random_integer_vit(CONFIG, seed=2, spec=SPEC, edge_bits=4)
COMPILED = compile_model(MODEL, SPEC)
WORDS = COMPILED.stream.words
IMAGES = torch.randint(0, 256, (3, 1, 2, 2), generator=torch.Generator().manual_seed(1))


def beats(key, items):
    return [{key: item, "last": int(at == len(items) - 1)} for at, item in enumerate(items)]


def test_ports():
    """Good, damaged behind INPUT, truncated, good: the checkers on all ports see rule 2 kept, also in the flush."""
    place = COMPILED.stream.commands()[2].position + 3
    damaged = [*WORDS[:place], WORDS[place] ^ 1, *WORDS[place + 1:]]
    streams = [WORDS, damaged, WORDS[:30], WORDS]
    dut = Accelerator(SPEC)
    columns = COMPILED.input_words(IMAGES).tolist()
    logits, status = [], []

    async def model(ctx):
        for words in streams:
            await send(ctx, dut.model, beats("data", words), stall="random", seed=1)

    async def pixels(ctx):
        for image in columns:
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
    golden = MODEL(IMAGES).tolist()
    assert logits == golden[0] + golden[2]
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
        await ctx.tick()
        assert ctx.get(dut.model.ready) and not ctx.get(dut.busy)

    sim.add_testbench(testbench)
    sim.run()
