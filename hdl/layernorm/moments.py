"""Sums of x and x*x of every lane, read out in limbs as differences of two readings."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.layernorm import LIMB_BITS, LayerNormSpec

from ..activation.multiply import RegisteredProduct

__all__ = ["LIMB_AT_PHASE", "Moments"]

LIMB_AT_PHASE = {0: 0, 1: 2, 2: 3, 3: 1, 5: 4}
"""Limb that is read in each phase of a row: 0 and 1 belong to S1, 2 to 4 to S2, low limb first."""


class Moments(wiring.Component):
    """Running sums per lane, a capture register per lane, and the limbs of one lane's row sums.

    The accumulators are never cleared, because a clear between two rows that follow each other without a gap would
    cost a multiplexer per bit: the sum of a row is the difference, modulo 2**width, between the readings after it and
    before it. The earlier reading is kept in a memory, the difference is taken limb by limb.

    *Timing*: a beat given with ``add`` in cycle t is part of S1 read by a ``capture`` of the same cycle or later.
    ``capture`` in cycle t makes limbs readable from t + 4 (S1 from t + 3). With ``busy`` and ``phase`` running from 0
    to 7, the limb that :data:`LIMB_AT_PHASE` selects in phase p stands at ``limb`` in phase p + 2; that of phase 3
    stays for two phases.

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
    phase : unsigned(3), in
    busy : 1, in
        The capture registers are being read.
    lane : in
        Row that is read.
    limb : signed(17), out
    """

    def __init__(self, spec: LayerNormSpec, *, mapping: str = "generic"):
        self.spec = spec
        self.mapping = mapping
        super().__init__({
            "x": In(data.ArrayLayout(signed(spec.in_bits), spec.lanes)), "add": In(1), "capture": In(1),
            "phase": In(3), "busy": In(1), "lane": In(range(max(spec.lanes, 2))), "limb": Out(signed(LIMB_BITS + 1)),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec = self.spec
        # Every limb has at least one bit, also in the smallest spec.
        total_bits = max(spec.sum_bits, LIMB_BITS + 1)
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
        """Select a limb, subtract the earlier reading with the borrow of its lower limb, and extend the sign."""
        spec = self.spec
        which = Signal(3)
        with m.Switch(self.phase):
            for phase, limb in LIMB_AT_PHASE.items():
                with m.Case(phase):
                    m.d.comb += which.eq(limb)
        held = Signal(5 * LIMB_BITS)
        m.d.comb += held.eq(Array(lanes)[self.lane])

        m.submodules.earlier = memory = Memory(
            shape=LIMB_BITS, depth=8 * spec.lanes, init=[], attrs={"ram_style": "block"})
        read, write = memory.read_port(), memory.write_port()
        raw = Signal(LIMB_BITS, reset_less=True)
        which_raw = Signal(3, reset_less=True)
        taken = Signal()
        address = Cat(which, self.lane)
        m.d.sync += [raw.eq(held.word_select(which, LIMB_BITS)), which_raw.eq(which), write.addr.eq(address)]
        m.d.comb += [read.addr.eq(address), read.en.eq(1), write.data.eq(raw), write.en.eq(taken)]
        selects = Signal(8, init=sum(1 << phase for phase in LIMB_AT_PHASE))
        m.d.sync += taken.eq(self.busy & selects.bit_select(self.phase, 1))

        # The first rows after reset have no earlier reading: the accumulators started at 0.
        fresh = Signal(init=1)
        with m.If(self.busy & (self.phase == 7) & (self.lane == spec.lanes - 1)):
            m.d.sync += fresh.eq(0)
        earlier = Mux(fresh, 0, read.data)
        borrow_total, borrow_squares, borrow = Signal(), Signal(), Signal()
        m.d.comb += borrow.eq(Mux(which_raw == 1, borrow_total, Mux(which_raw >= 3, borrow_squares, 0)))
        difference = Signal(signed(LIMB_BITS + 2))
        m.d.comb += difference.eq(raw - (earlier + borrow))
        with m.If(taken):
            with m.If(which_raw == 0):
                m.d.sync += borrow_total.eq(difference < 0)
            with m.If((which_raw == 2) | (which_raw == 3)):
                m.d.sync += borrow_squares.eq(difference < 0)
            with m.Switch(which_raw):
                with m.Case(1):
                    m.d.sync += self.limb.eq(difference[:high_bits].as_signed())
                with m.Case(4):
                    m.d.sync += self.limb.eq(difference[:top_bits])
                with m.Default():
                    m.d.sync += self.limb.eq(difference[:LIMB_BITS])
