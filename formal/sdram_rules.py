"""What an SDRAM controller must never do, whatever it is asked: rules of the chip, as assertions about its pins."""

from amaranth.hdl import Array, Assert, Module, Mux, Signal
from amaranth.lib import wiring
from vitric.hdl.memory.controller import SdramController
from vitric.hdl.memory.layouts import Command

from .ports import join_ports

__all__ = ["CHECKS", "SdramRules"]

CHECKS = {
    "banks": "no row is opened twice, none is read or written that is not open, and a refresh finds all closed",
    "times": "commands keep tRCD, tRP, tRAS, tRC, tRRD, tWR, tRFC and tMRD, and cut no burst",
    "refresh": "after power-up a refresh comes before tREFI is over, again and again",
    "bus": "words of a write come with WRITE and after it, and never while the chip drives or the cycle after that",
    "start": "nothing before the power-up time; then PRECHARGE ALL, the refreshes and MODE before anything else",
}
"""What each check proves."""


class SdramRules(wiring.Component):
    """A controller with free inputs, and assertions about the commands at its pins.

    Parameters
    ----------
    unit : SdramController
    check : str
        One of :data:`CHECKS`.

    Members
    -------
    Those of the controller.
    """

    def __init__(self, unit: SdramController, check: str):
        if check not in CHECKS:
            raise ValueError(f"check must be one of {', '.join(CHECKS)}, not {check!r}")
        self.unit, self.check = unit, check
        super().__init__(dict(unit.signature.members))

    def elaborate(self, platform):
        """Return the controller, joined to the ports, and the properties."""
        m = Module()
        m.submodules.unit = unit = self.unit
        join_ports(m, unit, self)
        self.given = {command: self._is(m, command) for command in Command}
        getattr(self, f"_{self.check}")(m)
        return m

    def _is(self, m, command: Command) -> Signal:
        found = Signal(name=f"is_{command.name}")
        m.d.comb += found.eq(self.unit.pins.command == command)
        return found

    def _age(self, m, event, name: str, most: int) -> Signal:
        """Return the cycles since an event, ``most`` if there were more or none; 1 in the cycle after it."""
        age = Signal(range(most + 1), init=most, name=f"since_{name}")
        m.d.sync += age.eq(Mux(event, 1, age + (age != most)))
        return age

    def _for_banks(self, m, command: Command):
        """Return, for each bank, whether a command is for it; PRECHARGE may be for all."""
        pins = self.unit.pins
        everyone = pins.address[10] if command is Command.PRECHARGE else 0
        return [self.given[command] & ((pins.bank == bank) | everyone) for bank in range(4)]

    def _open(self, m) -> list[Signal]:
        """Return, for each bank, whether it is open before the command of this cycle."""
        opened = [Signal(name=f"bank_{bank}_open") for bank in range(4)]
        opens, closes = (self._for_banks(m, command) for command in (Command.ACTIVATE, Command.PRECHARGE))
        for bank in range(4):
            m.d.sync += opened[bank].eq((opened[bank] | opens[bank]) & ~closes[bank])
        return opened

    def _banks(self, m):
        opened, given = self._open(m), self.given
        here = Array(opened)[self.unit.pins.bank]
        m.d.comb += [
            Assert(~given[Command.ACTIVATE] | ~here, "a bank is opened that is open"),
            Assert(~(given[Command.READ] | given[Command.WRITE]) | here, "a bank is used that is closed"),
            Assert(~(given[Command.REFRESH] | given[Command.MODE]) | ~sum(opened).any(), "a bank is open"),
        ]

    def _times(self, m):
        spec, given = self.unit.spec, self.given
        rcd, rp, ras, rc, rrd, rfc, mrd, wr = (
            spec.cycles(getattr(spec, f"t_{name}")) for name in ("rcd", "rp", "ras", "rc", "rrd", "rfc", "mrd", "wr"))
        after_refresh = self._age(m, given[Command.REFRESH], "refresh", rfc)
        after_mode = self._age(m, given[Command.MODE], "mode", mrd)
        m.d.comb += [
            Assert(given[Command.NOP] | (after_refresh == rfc), "tRFC"),
            Assert(given[Command.NOP] | (after_mode == mrd), "tMRD"),
        ]
        uses, writes, opens, closes = (self._for_banks(m, command) for command in (
            Command.READ, Command.WRITE, Command.ACTIVATE, Command.PRECHARGE))
        after_any = self._age(m, given[Command.ACTIVATE], "any", rrd)
        after_column = self._age(m, given[Command.READ] | given[Command.WRITE], "column", spec.burst)
        m.d.comb += [
            Assert(~given[Command.ACTIVATE] | (after_any == rrd), "tRRD"),
            Assert(~(given[Command.READ] | given[Command.WRITE]) | (after_column == spec.burst), "a burst is cut"),
        ]
        for bank in range(4):
            after_open = self._age(m, opens[bank], f"open_{bank}", max(rc, rcd, ras))
            after_close = self._age(m, closes[bank], f"close_{bank}", rp)
            after_write = self._age(m, writes[bank], f"write_{bank}", spec.burst - 1 + wr)
            after_use = self._age(m, uses[bank] | writes[bank], f"use_{bank}", spec.burst)
            m.d.comb += [
                Assert(~(uses[bank] | writes[bank]) | (after_open >= rcd), "tRCD"),
                Assert(~opens[bank] | ((after_open >= rc) & (after_close == rp)), "tRC, tRP"),
                Assert(~closes[bank] | ((after_open >= ras) & (after_write == spec.burst - 1 + wr)), "tRAS, tWR"),
                Assert(~closes[bank] | (after_use == spec.burst), "a burst is cut by PRECHARGE"),
                Assert(~(given[Command.REFRESH] | given[Command.MODE]) | (after_close == rp), "tRP"),
            ]

    def _refresh(self, m):
        # One is due every `refresh_period` cycles and done within `refresh_slack`: no two are further apart than both.
        spec, given = self.unit.spec, self.given
        phase, waits, begun = Signal(range(spec.refresh_period)), Signal(range(spec.refresh_slack + 2)), Signal()
        due = phase == spec.refresh_period - 1
        m.d.sync += phase.eq(Mux(due, 0, phase + 1))
        with m.If(given[Command.REFRESH]):
            m.d.sync += waits.eq(0)
        with m.Elif(due | (waits != 0)):
            m.d.sync += waits.eq(waits + (waits <= spec.refresh_slack))
        with m.If(given[Command.MODE]):
            m.d.sync += begun.eq(1)
        m.d.comb += Assert(~begun | (waits <= spec.refresh_slack), "a refresh is late")

    def _bus(self, m):
        spec, given, drive = self.unit.spec, self.given, self.unit.pins.drive
        after_write = self._age(m, given[Command.WRITE], "write", spec.burst)
        free = spec.cas_latency + spec.burst + 1  # the first cycle, counted from READ, in which the bus may be driven
        after_read = self._age(m, given[Command.READ], "read", free)
        m.d.comb += [
            Assert(drive == (given[Command.WRITE] | (after_write < spec.burst)), "not the words of a write"),
            Assert(~drive | (after_read == free) | (after_read < spec.cas_latency - 1), "contention"),
        ]

    def _start(self, m):
        spec, given = self.unit.spec, self.given
        quiet = spec.cycles(spec.t_power_up)
        up, refreshes = Signal(range(quiet + 1)), Signal(range(spec.init_refreshes + 1))
        closed, is_set = Signal(), Signal()
        m.d.sync += up.eq(up + (up != quiet))
        with m.If(given[Command.PRECHARGE] & self.unit.pins.address[10]):
            m.d.sync += closed.eq(1)
        with m.If(given[Command.REFRESH] & (refreshes != spec.init_refreshes)):
            m.d.sync += refreshes.eq(refreshes + 1)
        with m.If(given[Command.MODE]):
            m.d.sync += is_set.eq(1)
        later = given[Command.ACTIVATE] | given[Command.READ] | given[Command.WRITE]
        m.d.comb += [
            Assert(given[Command.NOP] | (up == quiet), "a command before power-up"),
            Assert(~given[Command.REFRESH] | closed, "a refresh before PRECHARGE ALL"),
            Assert(~given[Command.MODE] | (refreshes == spec.init_refreshes), "MODE before the refreshes"),
            Assert(~later | is_set, "a row is used before MODE"),
            Assert(~given[Command.MODE] | ~is_set, "MODE twice"),
        ]
