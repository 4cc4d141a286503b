"""Bench of the GELU table: two tables, one after the other, every index in every lane, every pair of stall patterns.

It is told the :class:`~vitric.golden.spec.requantize.TableSpec`, see :mod:`vitric.sim.parameters`. The unit is
built with a tag as wide as the index. Expected values are those of :func:`vitric.golden.arith.lookup`.
"""

from random import Random

import cocotb
import torch
from vitric.golden.arith import lookup
from vitric.golden.integer.gelu import gelu_table
from vitric.golden.packing import pack
from vitric.golden.spec.requantize import TableSpec

from ..clock import start_clock
from ..parameters import read_spec
from ..stream_kit import PATTERNS, Driver, Monitor, Scoreboard, check_stream_rules

__all__ = ["loads_and_looks_up"]

SPEC = read_spec(TableSpec)


def _word(values: list[int], bits: int, tag: int) -> int:
    return pack(values, bits, False) | tag << bits * len(values)


def _tables(random: Random) -> list[torch.Tensor]:
    middle = SPEC.entries // 2
    real = gelu_table(8 / SPEC.entries, middle, SPEC.index_bits, 5 / 2**SPEC.out_bits, 1, SPEC.out_bits)
    return [real, torch.tensor([random.getrandbits(SPEC.out_bits) for _ in range(SPEC.entries)])]


@cocotb.test(timeout_time=400, timeout_unit="us")
@cocotb.parametrize(source=PATTERNS, sink=PATTERNS)
async def loads_and_looks_up(dut, source, sink):
    """Load a table, look up every index, wait until the unit is empty, and again with the second table."""
    random = Random(cocotb.RANDOM_SEED)
    order = [random.sample(range(SPEC.entries), SPEC.entries) for _ in range(SPEC.lanes)]
    beats = [list(beat) for beat in zip(*order, strict=True)]
    loader = Driver(dut, "table", bits=SPEC.out_bits, pattern=source)
    driver = Driver(dut, "i", pattern=source)
    scoreboard = Scoreboard([])
    monitor = Monitor(dut, "o", pattern=sink, scoreboard=scoreboard)
    check_stream_rules(dut, "o")
    await start_clock(dut, noise=["i", "table"])
    for number, table in enumerate(_tables(random), start=1):
        entries = lookup(table, torch.tensor(beats)).tolist()
        scoreboard.expected += [_word(beat, SPEC.out_bits, tag) for tag, beat in enumerate(entries)]
        await loader.send(table.tolist())
        await driver.send([_word(beat, SPEC.index_bits, tag) for tag, beat in enumerate(beats)])
        await monitor.receive(number * len(beats))
    assert scoreboard.seen == len(scoreboard.expected) == 2 * SPEC.entries
