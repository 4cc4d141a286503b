# amaranth: UnusedElaboratable=no
import random

import pytest
from vitric.golden.spec.accelerator import SPECS
from vitric.hdl.accelerator.progress import Completion, RowWait, outstanding

from tests.hdl.accelerator.kit import drive
from tests.hdl.stream_kit import run

SPEC = SPECS["tiny"]
OUTSTANDING = outstanding(SPEC)


@pytest.mark.parametrize("window", [1, 2, 5, OUTSTANDING])
def test_done_counts_in_stream_order(window):
    """Two engines complete commands in any order, as many as may be outstanding; ``done`` in each cycle."""
    dut, total = Completion(SPEC), 6 * OUTSTANDING

    async def testbench(ctx):
        rng = random.Random(window)
        begun = done = both = early = 0
        outstanding, complete = [], set()
        while done < total:
            assert ctx.get(dut.done) == done
            more = min(total, done + window) - begun
            outstanding += range(begun + 1, begun + 1 + more)
            begun += more
            rng.shuffle(outstanding)
            events = [outstanding.pop() if outstanding and rng.random() < 0.4 else None for _ in range(2)]
            for port, index in zip((dut.product, dut.rows), events, strict=True):
                drive(ctx, port, {"valid": index is not None, "index": index or rng.randrange(total)})
            both += None not in events
            early += any(index == done + window for index in events)
            done += done + 1 in complete  # what is complete now is counted in the cycle after the next
            complete |= set(events)
            await ctx.tick()
        assert early > 5 and (window == 1 or both > 5)

    run(dut, testbench)


def test_done_moves_on_by_one_per_cycle():
    """The commands behind the first are complete long before; ``done`` moves in the second cycle after the event."""
    dut = Completion(SPEC)

    async def testbench(ctx):
        for index in range(OUTSTANDING, 0, -1):
            drive(ctx, dut.rows, {"valid": 1, "index": index})
            assert ctx.get(dut.done) == 0
            await ctx.tick()
        ctx.set(dut.rows.valid, 0)
        for done in (*range(OUTSTANDING + 1), OUTSTANDING, OUTSTANDING):
            assert ctx.get(dut.done) == done
            await ctx.tick()

    run(dut, testbench)


def engine(rng, commands, groups):
    """Per cycle: command at which the engine is, row groups written, whether the command is complete; as Writeback."""
    index = written = 0
    for command in commands:
        for _ in range(rng.choice([1, 1, 30])):
            yield index, written, False
        index, written = command, 0
        while written < groups[command]:
            for _ in range(rng.choice([1, 1, 2, 9])):
                yield index, written, False
            written += 1
        for _ in range(rng.choice([0, 0, 3])):
            yield index, written, False
        yield index, written, True
    while True:
        yield index, written, False


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0], ids=["products", "both", "rows"])
@pytest.mark.parametrize("seed", range(3))
def test_row_groups(seed, share):
    """Never before the row group is there, and as soon as the docstring says, for waits of both kinds."""
    rng = random.Random(f"{seed}/{share}")
    dut, total = RowWait(SPEC), 60
    groups = [0, *(rng.randint(1, 6) for _ in range(total))]
    by_rows = [rng.random() < share for _ in range(total + 1)]
    engines = [engine(rng, [n for n in range(1, total + 1) if by_rows[n] == kind], groups) for kind in (False, True)]
    state = {"done": 0, "complete": set(), "were": ([], 0), "now": ([], 0)}
    counts = dict.fromkeys(("by group", "by command", "waited", "fell"), 0)

    async def tick(ctx):
        """One cycle of the engines: what ``ok`` may know is the state of the cycle before."""
        await ctx.tick()
        state["were"] = state["now"]
        progress = [next(each) for each in engines]
        state["now"] = [(index, written) for index, written, _ in progress], state["done"]
        for port, (index, written, _) in zip((dut.product, dut.rows), progress, strict=True):
            ctx.set(port, {"index": index, "groups": written})
        ctx.set(dut.done, state["done"])
        state["done"] += state["done"] + 1 in state["complete"]
        state["complete"] |= {index for index, _, complete in progress if complete}

    def expected(wait, whole, group):
        progress, done = state["were"]
        by_group = not whole and any(index == wait and written > group for index, written in progress)
        counts["by group"] += by_group and done < wait
        counts["by command"] += done >= wait
        return by_group or done >= wait

    async def testbench(ctx):
        wait = 0
        while wait < total:
            wait = min(total, wait + rng.choice([0, 1, 1, 2, 3]))
            whole = rng.random() < 0.3
            number = groups[wait] or 2
            drive(ctx, dut, {"wait": wait, "whole": whole, "start": 1, "step": 0, "end": rng.random() < 0.5})
            await tick(ctx)
            ctx.set(dut.start, 0)
            assert ctx.get(dut.ok) <= expected(wait, whole, 0)
            await tick(ctx)
            for group in range(number):
                ok, pause = False, rng.choice([0, 0, 3])
                while not ok or pause:
                    stayed, ok = ok, ctx.get(dut.ok)
                    assert ok == expected(wait, whole, group)
                    counts["waited"] += not ok
                    counts["fell"] += stayed > ok
                    if ok and not pause:
                        break
                    pause -= pause > 0
                    ctx.set(dut.end, rng.random() < 0.5)
                    await tick(ctx)
                drive(ctx, dut, {"step": 1, "end": group == number - 1})
                await tick(ctx)
                ctx.set(dut.step, 0)
            for at in range(rng.choice([0, 2 * number])):  # further sets
                drive(ctx, dut, {"step": rng.random() < 0.5, "end": at % number == number - 1})
                assert ctx.get(dut.ok)
                await tick(ctx)
            ctx.set(dut.step, 0)

    run(dut, testbench)
    assert min(counts["by group"], counts["by command"], counts["waited"]) > 20, counts
    if share != 0.5:  # commands are complete in stream order, so that ``done`` is there when an engine goes on
        assert not counts["fell"], counts
