import pytest
from vitric.boards.inference import Inference
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.spec.command import ErrorCode

from tests.hdl.stream_kit import receive, run, send

SPEC = SPECS["tiny"]  # two rows
COLUMNS = [{"pixel": [10 * k + 1, 10 * k + 2], "last": k == 3} for k in range(1, 4)]
LOGITS = [-5, 300, 300, 7]


async def start(ctx, dut):
    ctx.set(dut.start, 1)
    await ctx.tick()
    ctx.set(dut.start, 0)


@pytest.mark.parametrize("pause", [0, 1, 400])
def test_an_image_that_comes_late_is_handed_on_as_it_comes(pause):
    dut = Inference(SPEC)
    result = {}

    async def image(ctx):
        await start(ctx, dut)
        for column in COLUMNS:
            for passed in range(pause):
                assert not ctx.get(dut.columns.valid) or (passed == 0 and column is not COLUMNS[0])
                await ctx.tick()
            await send(ctx, dut.i, [column])

    async def accelerator(ctx):
        result["columns"] = await receive(ctx, dut.columns, len(COLUMNS))
        await send(ctx, dut.logits, LOGITS)
        await send(ctx, dut.status, [{"error": ErrorCode.OK, "command": 7}])
        result["outcome"] = await receive(ctx, dut.outcome, 1)
        result["logits"] = await receive(ctx, dut.o, len(LOGITS))

    run(dut, image, accelerator)
    assert result["columns"] == COLUMNS
    (outcome,) = result["outcome"]
    assert outcome["cycles"] > pause * len(COLUMNS)
    assert outcome | {"cycles": 0} == {
        "error": ErrorCode.OK, "command": 7, "cycles": 0, "label": 1, "count": len(LOGITS)}
    assert result["logits"] == LOGITS


@pytest.mark.parametrize("taken", [0, 1, 2, 3])
def test_what_the_accelerator_does_not_take_is_dropped(taken):
    """It ends with an error after so many columns; the next image begins with its own first column."""
    dut = Inference(SPEC)

    async def image(ctx):
        for passed in (taken, 3):  # no column is offered while the accelerator ends
            await start(ctx, dut)
            await send(ctx, dut.i, COLUMNS[:passed])
            await ctx.tick().repeat(20)
            await send(ctx, dut.i, COLUMNS[passed:])
            await ctx.tick().repeat(20)

    async def accelerator(ctx):
        assert await receive(ctx, dut.columns, taken) == COLUMNS[:taken]
        await send(ctx, dut.status, [{"error": ErrorCode.BAD_CRC, "command": 9}])
        (outcome,) = await receive(ctx, dut.outcome, 1)
        assert (outcome["error"], outcome["command"], outcome["count"]) == (ErrorCode.BAD_CRC, 9, 0)
        assert await receive(ctx, dut.columns, 3) == COLUMNS

    run(dut, image, accelerator)
