import pytest
from vitric.boards.inference import Inference
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.spec.command import ErrorCode

from tests.hdl.stream_kit import receive, run, send

SPEC = SPECS["tiny"]  # two rows
IMAGE = [11, 12, 21, 22, 31, 32]
LOGITS = [-5, 300, 300, 7]


@pytest.mark.parametrize("pause", [0, 1, 400])
def test_an_image_that_comes_late_is_handed_on_as_it_comes(pause):
    """A column is there one cycle after its last byte; nothing is kept back, or made up while bytes are missing."""
    dut = Inference(SPEC)
    result = {}

    async def image(ctx):
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        for index, byte in enumerate(IMAGE):
            for _ in range(pause):
                assert not ctx.get(dut.columns.valid)
                await ctx.tick()
            await send(ctx, dut.i, [{"data": byte, "last": index == len(IMAGE) - 1}])
            if pause:
                assert ctx.get(dut.columns.valid) == index % 2
                await ctx.tick()

    async def accelerator(ctx):
        result["columns"] = await receive(ctx, dut.columns, len(IMAGE) // 2)
        await send(ctx, dut.logits, LOGITS)
        await send(ctx, dut.status, [{"error": ErrorCode.OK, "command": 7}])
        result["outcome"] = await receive(ctx, dut.outcome, 1)
        result["logits"] = await receive(ctx, dut.o, len(LOGITS))

    run(dut, image, accelerator)
    assert result["columns"] == [
        {"pixel": IMAGE[start:start + 2], "last": start == len(IMAGE) - 2} for start in range(0, len(IMAGE), 2)]
    (outcome,) = result["outcome"]
    assert outcome["cycles"] > pause * len(IMAGE)
    assert outcome | {"cycles": 0} == {
        "error": ErrorCode.OK, "command": 7, "cycles": 0, "label": 1, "count": len(LOGITS)}
    assert result["logits"] == LOGITS
