import pytest
from vitric.boards.byte_columns import ByteColumns
from vitric.golden.spec.accelerator import SPECS

from tests.hdl.stream_kit import receive, run, send, transform

SPEC = SPECS["tiny"]  # two rows
IMAGE = [11, 12, 21, 22, 31, 32]
BEATS = [{"data": byte, "last": index == len(IMAGE) - 1} for index, byte in enumerate(IMAGE)]
COLUMNS = [{"pixel": IMAGE[start:start + 2], "last": start == len(IMAGE) - 2} for start in range(0, len(IMAGE), 2)]


@pytest.mark.parametrize("pause", [1, 400])
def test_an_image_that_comes_late_is_handed_on_as_it_comes(pause):
    """A column is there one cycle after its last byte; nothing is kept back, or made up while bytes are missing."""
    dut = ByteColumns(SPEC)

    async def image(ctx):
        for index, beat in enumerate(BEATS):
            for _ in range(pause):
                assert not ctx.get(dut.o.valid)
                await ctx.tick()
            await send(ctx, dut.i, [beat])
            assert ctx.get(dut.o.valid) == index % 2
            await ctx.tick()

    async def columns(ctx):
        assert await receive(ctx, dut.o, len(COLUMNS)) == COLUMNS

    run(dut, image, columns)


@pytest.mark.parametrize("stall", ["always", "random", "bursts"])
def test_images_follow_each_other(stall):
    received, _ = transform(ByteColumns(SPEC), BEATS * 5, outputs=15, send_stall=stall, receive_stall=stall)
    assert received == COLUMNS * 5
