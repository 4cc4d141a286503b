"""The commands that have no data: power-up, refreshes, and the opening of rows."""

from amaranth.hdl import Array, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.sdram import BANK_BITS, SdramSpec

from .layouts import Command, page_layout

__all__ = ["RowSequencer"]

_ALL_BANKS = 1 << 10  # A10 of PRECHARGE


class RowSequencer(wiring.Component):
    """Bring the chip up, refresh it in time, and open the page that is wanted.

    One page is opened at a time: PRECHARGE if its bank is open, ACTIVATE, ``opened``. Before that, ``closes`` says
    that the other page of the bank must not be used any more; ``closes_all`` says so of all, before a refresh. A
    column command may still come in the cycle after that, not later. Refreshes come before anything else that has not
    begun.

    *Handshake*: ``want`` and ``wanted`` are looked at between two pages, and may change at any time. ``valid`` offers a
    command, and the cycle without ``column`` in which it does takes it.

    *Latency*, from ``want`` to ``opened``: ``max(rcd, 3)`` cycles where the bank is closed, ``rp + 1`` more where it is
    not and may be closed.

    Parameters
    ----------
    spec : SdramSpec

    Members
    -------
    want : 1, in
    wanted : page_layout(spec), in
    column, write : 1, in
        A column command is issued in this cycle; it is WRITE.
    column_bank : 2, in
        Bank of the last column command.
    rested : 1, in
        The burst of the last column command is over.
    valid : 1, out
    command : Command, out
    bank : 2, out
    address : unsigned(spec.pin_bits), out
    target : page_layout(spec), out
    closes, closes_all, opened : 1, out
        What becomes of the bank of ``target``, or of all banks; ``opened``: two cycles before ``target`` may be used.
    refreshed : 1, out
        A refresh is issued in this cycle.
    ready : 1, out
        The chip has been brought up.
    """

    def __init__(self, spec: SdramSpec):
        self.spec = spec
        super().__init__({
            "want": In(1), "wanted": In(page_layout(spec)),
            "column": In(1), "write": In(1), "column_bank": In(BANK_BITS), "rested": In(1),
            "valid": Out(1), "command": Out(Command), "bank": Out(BANK_BITS), "address": Out(spec.pin_bits),
            "target": Out(page_layout(spec)), "closes": Out(1), "closes_all": Out(1), "opened": Out(1),
            "refreshed": Out(1), "ready": Out(1),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec, target = self.spec, self.target
        period, power_up = spec.refresh_period, -(-spec.power_up // spec.refresh_period)
        clock = Signal(range(period))
        tick, due = Signal(), Signal()
        # Ticks of power-up, then refreshes, that are left.
        waits = Signal(range(max(power_up, spec.init_refreshes) + 1), init=power_up)
        m.d.sync += [tick.eq(clock == period - 2), clock.eq(clock + 1)]
        with m.If(tick):
            m.d.sync += [clock.eq(0), due.eq(1)]

        longest = max(spec.rp, spec.rfc, spec.mrd, spec.rcd)
        timer = Signal(range(longest))               # cycles until the next command of this sequencer
        active = Signal(range(spec.active))          # cycles until a bank may be closed: it was opened,
        written = Signal(range(spec.write_recovery))  # or it was written to
        free, recovered = Signal(), Signal()
        open_banks = Array(Signal(name=f"open_{bank}") for bank in range(1 << BANK_BITS))
        m.d.comb += [free.eq(timer == 0), recovered.eq((active == 0) & (written == 0))]
        for counter, done in ((timer, free), (active, active == 0), (written, written == 0)):
            with m.If(~done):
                m.d.sync += counter.eq(counter - 1)
        with m.If(self.column & self.write):
            m.d.sync += written.eq(spec.write_recovery - 1)

        taken = Signal()
        m.d.comb += [taken.eq(self.valid & ~self.column), self.bank.eq(target.bank)]

        def issue(command: Command, *, guard, address, cycles: int, then: str):
            m.d.comb += [self.valid.eq(guard & free), self.command.eq(command), self.address.eq(address)]
            with m.If(taken):
                m.d.sync += timer.eq(max(cycles - 1, 0))
                m.next = then

        with m.FSM():
            with m.State("POWER_UP"):
                with m.If(tick):
                    m.d.sync += waits.eq(waits - 1)
                with m.If(waits == 0):
                    m.next = "PRECHARGE_ALL"
            with m.State("IDLE"):
                m.d.sync += target.eq(self.wanted)
                with m.If(due):
                    m.next = "CLOSE"
                with m.Elif(self.want):
                    m.next = "BEGIN"
            with m.State("BEGIN"):
                m.d.comb += self.closes.eq(1)
                m.next = "ACTIVATE"
                with m.If(open_banks[target.bank]):
                    m.next = "SETTLE"
            with m.State("SETTLE"):
                m.next = "PRECHARGE"
            with m.State("PRECHARGE"):
                issue(Command.PRECHARGE, guard=recovered & (self.rested | (self.column_bank != target.bank)),
                      address=0, cycles=spec.rp, then="ACTIVATE")
                with m.If(taken):
                    m.d.sync += open_banks[target.bank].eq(0)
            with m.State("ACTIVATE"):
                issue(Command.ACTIVATE, guard=1, address=target.row, cycles=spec.rcd - 2, then="OPEN")
                with m.If(taken):
                    m.d.sync += [open_banks[target.bank].eq(1), active.eq(spec.active - 1)]
            with m.State("OPEN"):
                with m.If(free):
                    m.d.comb += self.opened.eq(1)
                    m.next = "IDLE"
            with m.State("CLOSE"):
                m.d.comb += self.closes_all.eq(1)
                m.next = "CLOSE_SETTLE"
            with m.State("CLOSE_SETTLE"):
                m.next = "PRECHARGE_ALL"
            with m.State("PRECHARGE_ALL"):
                issue(Command.PRECHARGE, guard=recovered & self.rested, address=Const(_ALL_BANKS, spec.pin_bits),
                      cycles=spec.rp, then="REFRESH")
                with m.If(taken):
                    m.d.sync += [bank.eq(0) for bank in open_banks]
                m.d.sync += waits.eq(spec.init_refreshes)
            with m.State("REFRESH"):
                m.d.comb += self.refreshed.eq(taken)
                issue(Command.REFRESH, guard=1, address=0, cycles=spec.rfc, then="REFRESHED")
                with m.If(taken):
                    m.d.sync += [due.eq(0), waits.eq(waits - 1)]
            with m.State("REFRESHED"):
                m.next = "IDLE"
                with m.If(~self.ready):
                    m.next = "REFRESH"
                    with m.If(waits == 0):
                        m.next = "MODE"
            with m.State("MODE"):
                issue(Command.MODE, guard=1, address=spec.mode, cycles=spec.mrd, then="IDLE")
                m.d.comb += self.bank.eq(0)
                with m.If(taken):
                    m.d.sync += self.ready.eq(1)
        return m
