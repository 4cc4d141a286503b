"""Commands at the pins of the SDRAM chip model, for the bench of the model itself."""

from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from ..chips import RULES

__all__ = ["Chip", "cycles"]

PERIOD_PS = 7500
BURST = 4
PARAMETERS = {  # short where a rule would take long, and no rule hidden behind another one
    "ROW_BITS": 3, "COLUMN_BITS": 5, "INIT_REFRESHES": 3, "T_POWER_UP": 1_000_000, "T_RAS_MAX": 1_000_000,
    "T_REFI": 2_000_000, "T_RC": 80_000,
}
CAS_LATENCY = 3
MODE = CAS_LATENCY << 4 | BURST.bit_length() - 1
COMMANDS = {  # RAS, CAS, WE as they are at the pins
    "nop": 0b111, "activate": 0b011, "read": 0b101, "write": 0b100, "stop": 0b110, "precharge": 0b010,
    "refresh": 0b001, "mode": 0b000,
}
ALL = 1 << 10


def cycles(time_ps: int) -> int:
    """Return the fewest cycles that are no shorter."""
    return -(-time_ps // PERIOD_PS)


RP = RCD = cycles(21_000)
RAS, RC, RRD, WR, RFC, MRD = map(cycles, (42_000, 80_000, 15_000, 15_000, 70_000, 15_000))


class Chip:
    """Commands at the pins of the chip, counted in cycles after the one before."""

    def __init__(self, dut):
        self.dut = dut
        self._idle()
        for name in ("cs_n", "dqm", "dq_oe", "dq_i", "flip", "spot", "reset"):
            getattr(dut, name).value = 0
        dut.cke.value = 1
        Clock(dut.clk, PERIOD_PS, unit="ps").start()

    def _idle(self):
        self._pins("nop", 0, 0)

    def _pins(self, command: str, bank: int, address: int):
        ras, cas, we = (COMMANDS[command] >> k & 1 for k in (2, 1, 0))
        dut = self.dut
        dut.ras_n.value, dut.cas_n.value, dut.we_n.value, dut.ba.value, dut.a.value = ras, cas, we, bank, address

    async def after(self, gap: int, command: str, bank: int = 0, address: int = 0) -> None:
        """Give a command so many cycles after the one before it."""
        for _ in range(gap - 1):
            await self.cycle()
        self._pins(command, bank, address)
        await self.cycle()
        self._idle()

    async def cycle(self) -> None:
        """Let a clock edge pass; the pins are set between two of them."""
        await FallingEdge(self.dut.clk)

    async def write(self, gap: int, bank: int, column: int, words) -> None:
        """Write a burst; ends behind its last word."""
        for _ in range(gap - 1):
            await self.cycle()
        for k, word in enumerate(words):
            self.dut.dq_oe.value, self.dut.dq_i.value = 1, word
            await self.after(1, "nop" if k else "write", bank, column)
        self.dut.dq_oe.value = 0

    async def read(self, gap: int, bank: int, column: int) -> list[int]:
        """Read a burst; ends behind its last word."""
        await self.after(gap, "read", bank, column)
        words = []
        for k in range(CAS_LATENCY + BURST - 1):
            if k >= CAS_LATENCY - 1:
                words.append(int(self.dut.dq_o.value))
            await self.cycle()
        return words

    async def begin(self, *, refreshes: int = PARAMETERS["INIT_REFRESHES"], mode: int = MODE, quiet: int = 0) -> None:
        """Take the chip through power-off and its start-up sequence."""
        self.dut.reset.value = 1
        await self.cycle()
        self.dut.reset.value = 0
        await self.after(cycles(PARAMETERS["T_POWER_UP"]) + quiet, "precharge", 0, ALL)
        for k in range(refreshes):
            await self.after(RFC if k else RP, "refresh")
        await self.after(RFC, "mode", 0, mode)

    async def open(self, bank: int = 0, row: int = 0, gap: int = MRD) -> None:
        """Open a row."""
        await self.after(gap, "activate", bank, row)

    def fault(self) -> str:
        """Return the rule that was broken first."""
        return RULES[int(self.dut.fault.value)]
