# amaranth: UnusedElaboratable=no
import pytest
from vitric.golden.spec.sdram import SdramSpec
from vitric.hdl.memory.line_test import LineTest

from tests.hdl.stream_kit import receive, run, send

SPECS = [SdramSpec(clock_hz=100_000_000, burst=burst, row_bits=3, column_bits=6) for burst in (2, 4, 8)]


def outcome(spec, address=lambda a: a, data=lambda word: word, stalls="always"):
    """Return the requests of the test, and whether it fails, with a memory whose lines do what they like."""
    dut = LineTest(spec)
    memory, requests, failed = {}, [], []

    def through(line):
        words = [line >> 16 * k & 0xFFFF for k in range(spec.burst)]
        return sum(data(word) << 16 * k for k, word in enumerate(words))

    async def answer(ctx):
        while not ctx.get(dut.done):
            if not ctx.get(dut.request.valid):
                await ctx.tick()
                continue
            request, = await receive(ctx, dut.request, 1, stall=stalls, seed=len(requests))
            requests.append(request)
            place = address(request["address"])
            if request["write"]:
                memory[place] = through(request["data"])
            else:
                assert request["data"] == 1
                line = through(memory[place])
                await send(ctx, dut.line, [{"data": line, "last": 1}], stall=stalls, seed=len(requests))
        failed.append(ctx.get(dut.failed))

    run(dut, answer)
    return requests, bool(failed[0])


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.burst)
@pytest.mark.parametrize("stalls", ["always", "bursts"])
def test_good_memory(spec, stalls):
    requests, failed = outcome(spec, stalls=stalls)
    assert not failed
    places = [0, *(1 << bit for bit in range(spec.address_bits))]
    assert [request["address"] for request in requests] == 4 * places
    written = [request["data"] for request in requests if request["write"]]
    first, second = written[:len(places)], written[len(places):]
    assert len(set(first)) == len(places) and all(a ^ b == (1 << spec.line_bits) - 1
                                                  for a, b in zip(first, second, strict=True))
    words = [line >> 16 * k & 0xFFFF for line in first for k in range(spec.burst)]
    lines = [tuple(word >> bit & 1 for word in words) for bit in range(16)]
    assert len(set(lines)) == 16 and all(len(set(line)) == 2 for line in lines)


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("bit", range(16))
def test_data_line_that_is_stuck(level, bit):
    mask = 1 << bit
    assert outcome(SPECS[1], data=lambda word: word | mask if level else word & ~mask)[1]


@pytest.mark.parametrize("bit", range(1, 16))
def test_data_lines_that_are_tied_together(bit):
    def tied(word):
        both = word & 1 & word >> bit
        return word & ~(1 | 1 << bit) | both | both << bit

    assert outcome(SPECS[1], data=tied)[1]


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("bit", range(SPECS[1].address_bits))
def test_address_line_that_is_stuck(level, bit):
    mask = 1 << bit
    assert outcome(SPECS[1], address=lambda a: a | mask if level else a & ~mask)[1]


@pytest.mark.parametrize("bit", range(1, SPECS[1].address_bits))
def test_address_lines_that_are_tied_together(bit):
    def tied(place):
        both = (place | place >> bit) & 1
        return place & ~(1 | 1 << bit) | both | both << bit

    assert outcome(SPECS[1], address=tied)[1]
