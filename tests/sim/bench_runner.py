"""The cocotb side of test_runner: sends lanes through the design and expects each lane plus one."""

import os
from random import Random

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge
from vitric.sim.clock import start_clock
from vitric.sim.stream_kit import PATTERNS, Driver, Monitor, Scoreboard, check_stream_rules

BEATS = 60


@cocotb.test(timeout_time=200, timeout_unit="us")
@cocotb.parametrize(source=PATTERNS, sink=PATTERNS)
async def adds_one(dut, source, sink):
    random = Random(cocotb.RANDOM_SEED)
    beats = [[random.randint(-8, 7) for _ in range(3)] for _ in range(BEATS)]
    scoreboard = Scoreboard([[lane + 1 for lane in beat] for beat in beats])
    driver = Driver(dut, "i", bits=4, signed=True, count=3, pattern=source)
    monitor = Monitor(dut, "o", bits=5, signed=True, count=3, pattern=sink, scoreboard=scoreboard)
    check_stream_rules(dut, "o")
    await start_clock(dut)
    await driver.send(beats)
    assert len(await monitor.receive(BEATS)) == BEATS
    await scoreboard.complete()
    await ClockCycles(dut.clk, 30)
    assert len(monitor.beats) == scoreboard.seen == BEATS


@cocotb.test()
async def environment_arrives(dut):
    assert os.environ["BENCH_WORD"] == "hello"
    assert os.environ["COCOTB_RANDOM_SEED"] == "5"


@cocotb.test()
async def inner_signals_are_hidden(dut):
    await start_clock(dut)
    assert not hasattr(dut, "queue")
    dut.o__ready.value = 1
    await RisingEdge(dut.clk)
    await RisingEdge(dut.clk)
    assert dut.o__ready.value == 1
