"""Bench of the SDRAM chip model itself: each rule is kept to the clock cycle, and then broken by one."""

import cocotb
from cocotb.triggers import RisingEdge, Timer

from ..chips import RULES
from .sdram_commands import (
    ALL,
    BURST,
    CAS_LATENCY,
    MODE,
    MRD,
    PARAMETERS,
    PERIOD_PS,
    RAS,
    RC,
    RCD,
    RFC,
    RP,
    RRD,
    WR,
    Chip,
    cycles,
)

__all__ = ["BREAKS", "every_word", "flipped_word", "kept_and_broken", "power_cycle"]


async def _power_up(chip, bad):
    await chip.begin(quiet=-bad)


async def _sequence(chip, bad):
    await chip.begin(refreshes=PARAMETERS["INIT_REFRESHES"] - bad)


async def _no_mode(chip, bad):
    chip.dut.reset.value = 1
    await chip.cycle()
    chip.dut.reset.value = 0
    await chip.after(cycles(PARAMETERS["T_POWER_UP"]), "activate" if bad else "nop")


async def _trp(chip, bad):
    await chip.begin()
    await chip.open()
    await chip.after(RAS, "precharge")
    await chip.after(RC - RAS, "activate", 1)
    await chip.after(RAS, "precharge", 1)
    await chip.after(RC - RAS, "activate", 0)
    await chip.after(2 * RAS, "precharge", 0)  # so long open that the next one does not meet tRC
    await chip.after(RP - bad, "activate", 0)


async def _trp_refresh(chip, bad):
    await chip.begin()
    await chip.open()
    await chip.after(RAS, "precharge", 0, ALL)
    await chip.after(RP - bad, "refresh")


async def _trcd(chip, bad):
    await chip.begin()
    await chip.open(2)
    await chip.after(RCD - bad, "read", 2)


async def _tras(chip, bad):
    await chip.begin()
    await chip.open(3)
    await chip.after(RAS - bad, "precharge", 3)


async def _tras_max(chip, bad):
    await chip.begin()
    await chip.open(1)
    await chip.after(PARAMETERS["T_RAS_MAX"] // PERIOD_PS + bad, "precharge", 1)


async def _trc(chip, bad):
    await chip.begin()
    await chip.open()
    await chip.after(RAS, "precharge")
    await chip.after(RC - RAS - bad, "activate")


async def _trrd(chip, bad):
    await chip.begin()
    await chip.open(0)
    await chip.after(RRD - bad, "activate", 1)


async def _twr(chip, bad):
    await chip.begin()
    await chip.open(1)
    await chip.write(RAS, 1, 0, range(BURST))
    await chip.after(WR - bad, "precharge", 1)


async def _trfc(chip, bad):
    await chip.begin()
    await chip.after(MRD, "refresh")
    await chip.after(RFC - bad, "activate")


async def _trefi(chip, bad):
    await chip.begin()
    await chip.after(MRD, "refresh")
    await chip.after(PARAMETERS["T_REFI"] // PERIOD_PS + bad, "refresh")


async def _tmrd(chip, bad):
    await chip.begin()
    await chip.open(gap=MRD - bad)


async def _closed(chip, bad):
    await chip.begin()
    await chip.open(1)
    await chip.after(RCD, "read", 0 if bad else 1)


async def _opened(chip, bad):
    await chip.begin()
    await chip.open(1)
    await chip.after(RC, "activate", 1 if bad else 2)


async def _busy(chip, bad):
    await chip.begin()
    await chip.open(1)
    await chip.after(RAS, "precharge", 0 if bad else 1)
    await chip.after(RP, "refresh")


async def _contention(chip, bad):
    await chip.begin()
    await chip.open()
    await chip.after(RCD, "read")
    await chip.write(CAS_LATENCY + BURST + 1 - bad, 0, 0, range(BURST))


async def _undriven(chip, bad):
    await chip.begin()
    await chip.open()
    if bad:
        await chip.after(RCD, "write")
    else:
        await chip.write(RCD, 0, 0, range(BURST))


async def _mode(chip, bad):
    await chip.begin(mode=MODE ^ (0x10 if bad else 0))  # another CAS latency


async def _tck(chip, bad):
    await chip.begin()
    if bad:
        await RisingEdge(chip.dut.clk)
        chip.dut.clk.value = 0
        await Timer(1, unit="ns")
        chip.dut.clk.value = 1
        await Timer(1, unit="ns")


async def _cut(chip, bad):
    await chip.begin()
    await chip.open()
    await chip.after(RCD, "read")
    await chip.after(BURST - bad, "read")


async def _cut_by_precharge(chip, bad):
    await chip.begin()
    await chip.open()
    await chip.after(RAS, "read")
    await chip.after(BURST - bad, "precharge")


async def _unsupported(chip, bad):
    await chip.begin()
    await chip.open()
    await chip.after(RCD, "read", 0, ALL if bad else 0)  # with automatic precharge


BREAKS = {
    "power_up": (_power_up,), "sequence": (_sequence, _no_mode), "trp": (_trp, _trp_refresh), "trcd": (_trcd,),
    "tras": (_tras,), "tras_max": (_tras_max,), "trc": (_trc,), "trrd": (_trrd,), "twr": (_twr,), "trfc": (_trfc,),
    "trefi": (_trefi,), "tmrd": (_tmrd,), "closed": (_closed,), "opened": (_opened,), "busy": (_busy,),
    "contention": (_contention,), "undriven": (_undriven,), "mode": (_mode,), "tck": (_tck,),
    "cut": (_cut, _cut_by_precharge), "unsupported": (_unsupported,),
}


@cocotb.test(timeout_time=100, timeout_unit="us")
@cocotb.parametrize(rule=tuple(RULES[1:]))
async def kept_and_broken(dut, rule):
    """What is as early or as late as the rule allows is fine; one cycle more is the fault of this name."""
    chip = Chip(dut)
    for scenario in BREAKS[rule]:
        for bad, expected in ((0, "none"), (1, rule)):
            await scenario(chip, bad)
            await chip.cycle()
            assert chip.fault() == expected, f"{scenario.__name__}, {bad} cycles off: {chip.fault()}"


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def every_word(dut):
    """What is written is read, at the CAS latency, from every bank, row and column, in the order of the burst."""
    chip = Chip(dut)
    await chip.begin()
    columns = 1 << PARAMETERS["COLUMN_BITS"]
    places = [(bank, row) for bank in range(4) for row in (0, 5)]
    word = {(bank, row, column): 0x1111 * bank ^ 0x0700 * row ^ 0x25 * column
            for bank, row in places for column in range(columns)}
    for writes in (True, False):
        for bank, row in places:
            await chip.after(RFC, "refresh")
            await chip.open(bank, row, RFC)
            for start in (0, columns - BURST, 6, 9):
                base = start & -BURST
                burst = [word[bank, row, base + (start + k) % BURST] for k in range(BURST)]
                if writes:
                    await chip.write(RCD, bank, start, burst)
                else:
                    assert await chip.read(RCD, bank, start) == burst
            await chip.after(RAS, "precharge", bank)
    assert chip.fault() == "none"


@cocotb.test(timeout_time=100, timeout_unit="us")
async def flipped_word(dut):
    """A testbench can damage a word; nothing else changes."""
    chip = Chip(dut)
    await chip.begin()
    await chip.open(2, 3)
    await chip.write(RCD, 2, 8, [1, 2, 3, 4])
    dut.flip.value, dut.spot.value = 0x8001, (3 << 2 | 2) << PARAMETERS["COLUMN_BITS"] | 9
    await chip.cycle()
    dut.flip.value = 0
    assert await chip.read(RCD, 2, 8) == [1, 0x8003, 3, 4]


@cocotb.test(timeout_time=100, timeout_unit="us")
async def power_cycle(dut):
    """After the power was off, the sequence has to be done again."""
    chip = Chip(dut)
    await chip.begin()
    await chip.open()
    await chip.begin()
    await chip.open()
    assert chip.fault() == "none"
