"""Sums of x and x*x of every lane, read out in limbs as differences of two readings."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.layernorm import LIMB_BITS, LayerNormSpec

from ..activation.multiply import RegisteredProduct
from .select import select

__all__ = ["CAPTURE_CYCLES", "LIMB_AT_PHASE", "Moments"]

CAPTURE_CYCLES = 5
"""Cycles from ``capture`` to the first ``load`` that copies what it captured."""

LIMB_AT_PHASE = {0: 0, 1: 2, 2: 3, 3: 1, 5: 4}
"""Limb that is read in each phase of a row: 0 and 1 belong to S1, 2 to 4 to S2, low limb first."""


class Moments(wiring.Component):
    """Running sums per lane, a capture register per lane, and the limbs of one lane's row sums.

    The accumulators are never cleared, because a clear between two rows that follow each other without a gap would
    cost a multiplexer per bit: the sum of a row is the difference, modulo 2**width, between the readings after it and
    before it. The earlier reading is kept in a memory, the difference is taken limb by limb.

    *Timing*: a beat given with ``add`` in cycle t is part of the sums that ``capture`` in the same cycle or later
    copies. ``load`` in cycle t + CAPTURE_CYCLES or later copies one lane's, if ``next_lane`` named it in the cycle
    before; in the next cycle ``phase`` 0 may begin. With ``busy`` and ``phase`` running from 0 to 7, the limb that
    :data:`LIMB_AT_PHASE` selects in phase p stands at ``limb`` in phase p + 3; that of phase 3 stays for two phases.

    Parameters
    ----------
    spec : LayerNormSpec
    mapping : str
        Multiplier mapping, see :class:`vitric.hdl.activation.multiply.RegisteredProduct`.

    Members
    -------
    x : array of ``signed(in_bits)``, in
        One value per lane.
    add, capture : 1, in
        Add ``x``; copy the sums to the capture registers.
    load : 1, in
    next_lane : unsigned(lanes), in
        One bit per lane: the one that ``load`` copies.
    phase : unsigned(3), in
    busy : 1, in
        A row is being read.
    lane : in
        Which row.
    limb : signed(17), out
    """

    def __init__(self, spec: LayerNormSpec, *, mapping: str = "generic"):
        self.spec = spec
        self.mapping = mapping
        super().__init__({
            "x": In(data.ArrayLayout(signed(spec.in_bits), spec.lanes)), "add": In(1), "capture": In(1),
            "load": In(1), "next_lane": In(spec.lanes), "phase": In(3), "busy": In(1),
            "lane": In(range(max(spec.lanes, 2))), "limb": Out(signed(LIMB_BITS + 1)),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec = self.spec
        total_bits = spec.sum_bits
        # The highest limb has at least one bit, also in the smallest spec.
        squares_bits = max(spec.square_sum_bits, 2 * LIMB_BITS + 1)
        add = Signal(2)
        capture = Signal(3)
        m.d.sync += [add.eq(Cat(self.add, add)), capture.eq(Cat(self.capture, capture))]

        lanes = []
        for lane in range(spec.lanes):
            x = Signal(signed(spec.in_bits), reset_less=True, name=f"x_{lane}")
            total = Signal(signed(total_bits), name=f"total_{lane}")
            squares = Signal(unsigned(squares_bits), name=f"squares_{lane}")
            held_total = Signal(total_bits, reset_less=True, name=f"held_total_{lane}")
            held_squares = Signal(squares_bits, reset_less=True, name=f"held_squares_{lane}")
            m.submodules[f"square_{lane}"] = square = RegisteredProduct(
                signed(spec.in_bits), signed(spec.in_bits), mapping=self.mapping)
            m.d.comb += [square.a.eq(self.x[lane]), square.b.eq(self.x[lane]), square.en.eq(1)]
            m.d.sync += x.eq(self.x[lane])
            with m.If(add[0]):
                m.d.sync += total.eq(total + x)
            with m.If(add[1]):
                m.d.sync += squares.eq(squares + square.p[:2 * spec.in_bits - 1])
            with m.If(capture[1]):
                m.d.sync += held_total.eq(total)
            with m.If(capture[2]):
                m.d.sync += held_squares.eq(squares)
            lanes.append(Cat(
                held_total, Const(0, 2 * LIMB_BITS - total_bits), held_squares, Const(0, 3 * LIMB_BITS - squares_bits),
            ))
        self._read(m, lanes, total_bits - LIMB_BITS, squares_bits - 2 * LIMB_BITS)
        return m

    def _read(self, m: Module, lanes: list, high_bits: int, top_bits: int):
        """Take one lane's reading, subtract the earlier one limb by limb with borrow, and extend the sign."""
        spec = self.spec
        reading = Signal(5 * LIMB_BITS, reset_less=True)
        chosen = select(m, zip(self.next_lane, lanes, strict=True), len(reading), name="chosen")
        with m.If(self.load):
            m.d.sync += reading.eq(chosen)
        at_limb = {limb: self.phase == phase for phase, limb in LIMB_AT_PHASE.items()}
        which = Signal(3)
        m.d.comb += which.eq(_any(Mux(now, limb, 0) for limb, now in at_limb.items()))

        m.submodules.earlier = memory = Memory(
            shape=LIMB_BITS, depth=8 * spec.lanes, init=[], attrs={"ram_style": "block"})
        read, write = memory.read_port(), memory.write_port()
        raw = Signal(LIMB_BITS, reset_less=True)
        which_raw = Signal(3, reset_less=True)
        taken = Signal()
        address = Cat(which, self.lane)
        m.d.sync += [
            raw.eq(_any(Mux(now, reading.word_select(limb, LIMB_BITS), 0) for limb, now in at_limb.items())),
            taken.eq(self.busy & _any(at_limb.values())), which_raw.eq(which), write.addr.eq(address),
        ]
        m.d.comb += [read.addr.eq(address), read.en.eq(1), write.data.eq(raw), write.en.eq(taken)]

        # The memory is too slow to be followed by an addition. The first rows after reset have no earlier reading: the
        # accumulators started at 0.
        fresh = Signal(init=1)
        with m.If(self.busy & (self.phase == 7) & (self.lane == spec.lanes - 1)):
            m.d.sync += fresh.eq(0)
        later = Signal(LIMB_BITS, reset_less=True)
        earlier = Signal(LIMB_BITS, reset_less=True)
        which_limb = Signal(3, reset_less=True)
        valid = Signal()
        m.d.sync += [
            later.eq(raw), earlier.eq(Mux(fresh, 0, read.data)), which_limb.eq(which_raw), valid.eq(taken),
        ]
        borrow_total, borrow_squares = Signal(), Signal()
        borrow = (borrow_total & (which_limb == 1)) | (borrow_squares & (which_limb >= 3))
        difference = Signal(signed(LIMB_BITS + 1))
        # The borrow goes in below the lowest bit, so that one carry chain does both.
        m.d.comb += difference.eq((Cat(Const(0, 1), later) - Cat(borrow, earlier)) >> 1)
        with m.If(valid):
            with m.If(which_limb == 0):
                m.d.sync += borrow_total.eq(difference < 0)
            with m.If((which_limb == 2) | (which_limb == 3)):
                m.d.sync += borrow_squares.eq(difference < 0)
            with m.Switch(which_limb):
                with m.Case(1):
                    m.d.sync += self.limb.eq(difference[:high_bits].as_signed())
                with m.Case(4):
                    m.d.sync += self.limb.eq(difference[:top_bits])
                with m.Default():
                    m.d.sync += self.limb.eq(difference[:LIMB_BITS])


def _any(values):
    return reduce(or_, values)
