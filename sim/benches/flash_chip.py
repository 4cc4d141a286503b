"""Bench of the flash model itself: each rule is kept to the cycle, and then broken by one."""

import cocotb
from cocotb.triggers import RisingEdge

from ..chips import FLASH_RULES
from ..clock import start_clock
from .flash_commands import poke

__all__ = ["BREAKS", "PARAMETERS", "kept_and_broken", "what_is_read"]

PARAMETERS = {"ADDRESS_BITS": 8, "DELAY": 1, "HALF": 2, "T_DESELECT": 4, "T_WAKE": 60}
_HALF, _DESELECT, _WAKE = (PARAMETERS[name] for name in ("HALF", "T_DESELECT", "T_WAKE"))
_READ, _QUAD, _AWAKE, _EXIT = 0x0B, 0x6B, 0xAB, 0xFF


class _Pins:
    """The pins of the chip, a cycle at a time."""

    def __init__(self, dut):
        self.dut = dut

    async def power_on(self) -> None:
        for name, value in (("reset", 1), ("select_n", 1), ("sck", 0), ("dq_i", 0xF), ("dq_oe", 0xD), ("poke", 0),
                            ("quad_enable", 1)):
            getattr(self.dut, name).value = value
        await start_clock(self.dut)
        await poke(self.dut, 0, bytes(range(0x50, 0x60)))
        self.dut.reset.value = 0
        await self.cycles(1)

    async def cycles(self, count: int) -> None:
        for _ in range(count):
            await RisingEdge(self.dut.clk)

    async def clocks(self, bits, half: int = _HALF, upper: int = 0xC) -> list[int]:
        """Send bits on lane 0; return what all lanes are at each falling edge."""
        seen = []
        for bit in bits:
            self.dut.dq_i.value = upper | bit
            await self.cycles(half)
            self.dut.sck.value = 1
            await self.cycles(half)
            seen.append(int(self.dut.dq_o.value))
            self.dut.sck.value = 0
        return seen

    async def command(self, code: int, *, address: int | None = None, clocks: int = 0, gap: int = _DESELECT + 1,
                      drive: int = 0xD, **others) -> list[int]:
        """Select the chip and send a command; return what it gives, then deselect it for ``gap`` cycles."""
        self.dut.select_n.value = 0
        bits = f"{code:08b}" + (f"{address:024b}" + "0" * 8 if address is not None else "")
        await self.clocks(map(int, bits), **others)
        self.dut.dq_oe.value = drive
        seen = await self.clocks([1] * clocks, **others)
        await self.cycles(_HALF)
        self.dut.select_n.value = 1
        await self.cycles(1)
        self.dut.dq_oe.value = 0xD
        await self.cycles(gap - 1)
        return seen

    async def exit(self) -> None:
        self.dut.select_n.value = 0
        await self.clocks([1] * 16)
        self.dut.select_n.value = 1
        await self.cycles(_DESELECT + 1)

    async def begin(self) -> None:
        """Make the chip ready to be read."""
        await self.exit()
        await self.command(_AWAKE, gap=_WAKE + 2)


async def _asleep(pins, bad):
    await pins.exit()
    await pins.command(_READ if bad else _AWAKE)


async def _waking(pins, bad):
    await pins.exit()
    await pins.command(_AWAKE, gap=_WAKE - 15 * _HALF - bad)  # it is looked at with the eighth rising edge
    await pins.command(_READ, address=0)


async def _deselect(pins, bad):
    await pins.begin()
    await pins.command(_READ, address=0, clocks=8, drive=0xD, gap=_DESELECT + 1 - bad)
    await pins.command(_READ, address=0, clocks=8)


async def _unknown(pins, bad):
    await pins.begin()
    await pins.command(0x9F if bad else _READ)


async def _contention(pins, bad):
    await pins.begin()
    await pins.command(_QUAD, address=0, clocks=2, drive=0x1 if bad else 0)


async def _held(pins, bad):
    await pins.begin()
    await pins.command(_READ, address=0, clocks=8, upper=0x4 if bad else 0xC)


async def _fast(pins, bad):
    await pins.begin()
    await pins.command(_READ, address=0, clocks=8, half=_HALF - bad)


async def _partial(pins, bad):
    await pins.begin()
    pins.dut.select_n.value = 0
    await pins.clocks([0] * 4 + [1, 0, 1, 1][:3 if bad else 4])
    pins.dut.select_n.value = 1
    await pins.cycles(3)


async def _mode(pins, bad):
    await pins.begin()
    pins.dut.sck.value = bad
    await pins.cycles(_HALF)
    await pins.command(_READ, address=0, clocks=8)


async def _continuous(pins, bad):
    if not bad:
        await pins.exit()
    await pins.command(_AWAKE)


BREAKS = {"asleep": _asleep, "waking": _waking, "deselect": _deselect, "unknown": _unknown, "contention": _contention,
          "held": _held, "fast": _fast, "partial": _partial, "mode": _mode, "continuous": _continuous}
"""For each rule what keeps it, and with ``bad`` 1 breaks it."""


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(rule=tuple(BREAKS), bad=(0, 1))
async def kept_and_broken(dut, rule, bad):
    """Only what is broken is shown."""
    pins = _Pins(dut)
    await pins.power_on()
    await BREAKS[rule](pins, bad)
    await pins.cycles(2)
    shown = FLASH_RULES[int(dut.fault.value)]
    assert shown == (rule if bad else "none"), shown


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(quad_enable=(0, 1))
async def what_is_read(dut, quad_enable):
    """Bits most significant first, on lane 1 or on all; nothing on four lanes if it was not told to use them."""
    pins = _Pins(dut)
    await pins.power_on()
    await pins.begin()
    dut.quad_enable.value = quad_enable
    seen = await pins.command(_READ, address=3, clocks=16)
    assert [lanes >> 1 & 1 for lanes in seen] == [int(bit) for byte in (0x53, 0x54) for bit in f"{byte:08b}"]
    seen = await pins.command(_QUAD, address=0x50E, clocks=4, drive=0)
    assert seen == ([0x5, 0xE, 0x5, 0xF] if quad_enable else [0xF] * 4)
    assert int(dut.fault.value) == 0
