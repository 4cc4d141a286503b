# amaranth: UnusedElaboratable=no
import pytest
from amaranth.hdl import Module, Mux, Signal
from vitric.formal import ledgers
from vitric.formal.prover import Pdr, prove
from vitric.formal.stream_rules import CHECKS, Ledger, StreamRules
from vitric.hdl.streams import PipelineRegister, Queue

LEDGER = Ledger(enter=ledgers.passes(), capacity=1, latency=1)


class Damaged(PipelineRegister):
    """A register with one of several bugs; without one it is a good one."""

    def __init__(self, bug=None):
        self.bug = bug
        super().__init__(3)

    def elaborate(self, platform):
        m = Module()
        i, o, bug = self.i, self.o, self.bug
        payload, taken, valid = Signal(3), Signal(), Signal(reset_less=bug == "no reset")
        m.d.comb += [
            o.payload.eq(payload), o.valid.eq(valid), i.ready.eq(o.ready | ~o.valid), taken.eq(i.valid & i.ready)]
        with m.If(i.ready):
            m.d.sync += [payload.eq(i.payload), valid.eq(i.valid)]
        stalled = o.valid & ~o.ready
        if bug == "payload changes":
            with m.If(stalled & i.valid):
                m.d.sync += payload.eq(i.payload)
        elif bug == "valid falls":
            with m.If(stalled & i.valid):
                m.d.sync += valid.eq(0)
        elif bug == "invents":
            with m.If((i.payload == 5) & i.ready):
                m.d.sync += valid.eq(1)
        elif bug == "loses":
            with m.If((i.payload == 5) & i.ready):
                m.d.sync += valid.eq(0)
        elif bug == "doubles":
            again = Signal()
            with m.If(o.valid & o.ready & ~i.valid):
                m.d.sync += [valid.eq(~again), again.eq(1)]
        elif bug == "swaps":
            previous = Signal(3)
            with m.If(taken):
                m.d.sync += [previous.eq(i.payload), payload.eq(Mux(i.payload[0], previous, i.payload))]
        elif bug == "sleeps":
            awake = Signal(init=1)
            m.d.sync += awake.eq(awake | i.valid)
            m.d.comb += i.ready.eq((o.ready | ~o.valid) & awake)
            with m.If(taken & (i.payload == 5)):
                m.d.sync += awake.eq(0)
        return m


def status(unit, check, folder, ledger=LEDGER):
    return prove(StreamRules(unit, ledger, check), Pdr(), folder, seconds=20).status


@pytest.mark.parametrize(("bug", "check"), [
    ("payload changes", "hold"), ("valid falls", "hold"), ("invents", "count"), ("doubles", "count"),
    ("loses", "progress"), ("loses", "order"), ("swaps", "order"), ("sleeps", "progress"), ("no reset", "count"),
])
def test_planted_bug_is_found(bug, check, tmp_path):
    assert status(Damaged(bug), check, tmp_path) == "failed"


@pytest.mark.parametrize("check", CHECKS)
def test_good_unit_passes(check, tmp_path):
    assert status(Damaged(), check, tmp_path) == "proved"


@pytest.mark.parametrize(("change", "check"), [
    ({"capacity": 2}, "count"), ({"latency": 1}, "progress"), ({"refusal": 0}, "progress"),
])
def test_ledger_must_be_true(change, check, tmp_path):
    true = {"capacity": 3, "latency": 2, "refusal": 1}
    ledger = Ledger(enter=ledgers.passes(), **true | change)
    assert status(Queue(2, depth=3), check, tmp_path, ledger) == "failed"


def test_unknown_check():
    with pytest.raises(ValueError, match="check must be one of hold, count, order, progress, not 'speed'"):
        StreamRules(PipelineRegister(2), LEDGER, "speed")
