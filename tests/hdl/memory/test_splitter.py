# amaranth: UnusedElaboratable=no
import random

import pytest
from vitric.golden.spec.sdram import SdramSpec
from vitric.hdl.memory.splitter import Splitter

from tests.hdl.stream_kit import STALLS, latency, transform

SPEC = SdramSpec(clock_hz=100_000_000, row_bits=1, column_bits=4)  # 8 pages of 4 lines


def segments(address, lines):
    """Return the segments of a read."""
    found = []
    while lines:
        column, page = address % SPEC.row_lines, address // SPEC.row_lines
        count = min(lines, SPEC.row_lines - column)
        found.append({"column": column, "page": {"bank": page % 4, "row": page // 4}, "count": count,
                      "last": count == lines})
        address, lines = (address + count) % SPEC.lines, lines - count
    return found


def test_every_read_of_a_small_chip():
    reads = [(address, lines) for address in range(SPEC.lines) for lines in range(SPEC.lines + 1)]
    expected = [segment for read in reads for segment in segments(*read)]
    outputs, _ = transform(Splitter(SPEC), [{"address": a, "lines": n} for a, n in reads], outputs=len(expected))
    assert outputs == expected


@pytest.mark.parametrize("send_stall", STALLS)
@pytest.mark.parametrize("receive_stall", STALLS)
def test_stalls(send_stall, receive_stall):
    rng = random.Random(1)
    reads = [(rng.randrange(SPEC.lines), rng.randrange(SPEC.lines)) for _ in range(40)]
    expected = [segment for read in reads for segment in segments(*read)]
    outputs, _ = transform(Splitter(SPEC), [{"address": a, "lines": n} for a, n in reads], outputs=len(expected),
                           send_stall=send_stall, receive_stall=receive_stall)
    assert outputs == expected


def test_latency_and_interval():
    dut = Splitter(SPEC)
    _, checkers = transform(dut, [{"address": 1, "lines": 20}], outputs=6)
    assert latency(checkers["i"], checkers["o"]) == dut.latency
    sent = checkers["o"].transfers
    assert {later - earlier for earlier, later in zip(sent, sent[1:], strict=False)} == {3}
