"""The rules of a stream as properties: a harness around any unit that turns beats into beats.

What the harness knows of the unit is its *ledger*: which output beats an input transfer is good for. The unit may
stall, be stalled and be reset at any time; nothing is assumed of its inputs but what the ledger assumes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from amaranth.hdl import Array, Assert, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from .ports import join_ports

__all__ = ["CHECKS", "Entry", "Ledger", "StreamRules"]

CHECKS = {
    "hold": "valid and payload of the output hold until the beat is taken",
    "count": "no output beat without the input for it, and never more inside than the unit has room for",
    "order": "every output beat is the right one: none lost, doubled, or overtaken",
    "progress": "what is owed becomes valid in time, and the input is not refused for longer than it has to be",
}
"""Kinds of properties."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What happens at the input side of a unit in the current cycle.

    Attributes
    ----------
    beats : Value or int
        Output beats that this cycle's input determines.
    payloads : sequence of Value
        What those beats hold, in order; as many as there can be. What is compared is chosen by ``Ledger.observe``.
    withheld : Value or int
        Of all beats determined so far and still inside, how many may not leave yet (the begun row of a unit that works
        on whole rows).
    available : Value or int
        1 when everything else is there that the output waits for, such as a second stream.
    """

    beats: Value | int
    payloads: Sequence[Value]
    withheld: Value | int = 0
    available: Value | int = 1


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """How output beats follow from input beats.

    Attributes
    ----------
    enter : callable (Module, unit) -> Entry
        May add registers and assumptions to the module.
    capacity : int
        Output beats that can be inside at once.
    latency : int
        Cycles from the transfer that lets a beat leave to its ``valid``, at most.
    refusal : int
        Cycles in a row, at most, in which the input is refused although the output is taken.
    observe : callable (unit) -> Value
        What ``Entry.payloads`` predict; all of the output's payload by default.
    """

    enter: Callable
    capacity: int
    latency: int
    refusal: int = 0
    observe: Callable = lambda unit: Value.cast(unit.o.payload)


class StreamRules(wiring.Component):
    """A unit with free inputs, and assertions about its stream ``o``.

    For ``order`` a free input ``mark`` picks any one beat as it enters, and ``which`` one of several; its payload and
    the number of beats ahead of it are noted. When so many have left, the next one must be it. As the pick is free,
    this holds for every beat.

    Parameters
    ----------
    unit : amaranth.lib.wiring.Component
        With streams ``i`` and ``o``, and possibly more ports.
    ledger : Ledger
    check : str
        One of :data:`CHECKS`.

    Members
    -------
    Those of ``unit``, and the inputs ``mark`` and ``which``.
    """

    def __init__(self, unit, ledger: Ledger, check: str):
        if check not in CHECKS:
            raise ValueError(f"check must be one of {', '.join(CHECKS)}, not {check!r}")
        self.unit, self.ledger, self.check = unit, ledger, check
        super().__init__({**unit.signature.members, "mark": In(1), "which": In(8)})

    def elaborate(self, platform):
        """Return the unit, joined to the ports, and the properties."""
        m = Module()
        m.submodules.unit = unit = self.unit
        join_ports(m, unit, self)
        getattr(self, f"_{self.check}")(m)
        return m

    def _hold(self, m):
        o = self.unit.o
        held, payload = Signal(), Signal(len(Value.cast(o.payload)))
        m.d.sync += [held.eq(o.valid & ~o.ready), payload.eq(o.payload)]
        with m.If(held):
            m.d.comb += [
                Assert(o.valid, "valid went low before the transfer"),
                Assert(payload == Value.cast(o.payload), "payload changed before the transfer"),
            ]

    def _inside(self, m) -> tuple[Entry, Value, Value]:
        """Return the entry, the number of beats inside, and whether one leaves."""
        entry = self.ledger.enter(m, self.unit)
        inside = Signal(range(2 * self.ledger.capacity + 2))
        leaves = Signal()
        m.d.comb += leaves.eq(self.unit.o.valid & self.unit.o.ready)
        m.d.sync += inside.eq(inside + entry.beats - leaves)
        return entry, inside, leaves

    def _count(self, m):
        entry, inside, _ = self._inside(m)
        m.d.comb += [
            Assert(~self.unit.o.valid | (inside > entry.withheld), "valid without input"),
            Assert(inside <= self.ledger.capacity, "more inside than there is room for"),
        ]

    def _order(self, m):
        entry, inside, leaves = self._inside(m)
        observed = self.ledger.observe(self.unit)
        marked, ahead = Signal(), Signal.like(inside)
        expected = Signal(len(observed))
        choice = Array(entry.payloads)[self.which] if len(entry.payloads) > 1 else entry.payloads[0]
        index = self.which if len(entry.payloads) > 1 else Const(0)
        with m.If(marked):
            m.d.sync += [ahead.eq(ahead - leaves), marked.eq(~(leaves & (ahead == 0)))]
        with m.Elif(self.mark & (index < entry.beats)):
            m.d.sync += [marked.eq(1), ahead.eq(inside - leaves + index), expected.eq(choice)]
        with m.If(marked & (ahead == 0) & self.unit.o.valid):
            m.d.comb += Assert(Cat(observed) == Cat(expected), "not the beat that is next")

    def _progress(self, m):
        entry, inside, _ = self._inside(m)
        ledger, i, o = self.ledger, self.unit.i, self.unit.o
        waiting, refused = Signal(range(ledger.latency + 2)), Signal(range(ledger.refusal + 2))
        late = (inside > entry.withheld) & ~o.valid & entry.available
        refuses = ~i.ready & o.ready & entry.available
        m.d.sync += [
            waiting.eq(Mux(late, waiting + 1, 0)),
            refused.eq(Mux(refuses, refused + 1, 0)),
        ]
        m.d.comb += [
            Assert(~late | (waiting < ledger.latency - 1), "late"),
            Assert(~refuses | (refused < ledger.refusal), "input refused for too long"),
        ]
