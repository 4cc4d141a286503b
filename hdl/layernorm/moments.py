"""Sums of x and x*x of every lane, moved out lane after lane and read in limbs."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.layernorm import LIMB_BITS, LayerNormSpec

from ..fabric.multiply import RegisteredProduct
from ..fabric.select import select
from ..fabric.select_add import select_add

__all__ = ["CAPTURE_CYCLES", "LIMB_AT_PHASE", "Moments"]

CAPTURE_CYCLES = 5
"""Cycles from the last ``add`` of a group to the first ``load`` that reads its sums."""

LIMB_AT_PHASE = {0: 0, 1: 2, 2: 3, 3: 1, 4: 1, 5: 4}
"""Limb that is read in each phase of a row: 0 and 1 belong to S1, 2 to 4 to S2, low limb first."""


class Moments(wiring.Component):
    """Running sums per lane, which move out through the lanes before them, and the limbs of one lane's row sums.

    The adder of an accumulator takes its own sum or, while the sums move, that of the next lane: a choice that costs
    nothing in the carry cell. After ``lanes`` such cycles every sum has passed lane 0, where a memory takes them, and
    all accumulators are 0.

    *Timing*: a beat given with ``add`` in cycle t is part of the sums if ``shift`` begins in cycle t + 1 or later.
    ``shift`` lasts ``lanes`` cycles, in which there must be no ``add``. ``load`` of lane k reads what began to move
    at least CAPTURE_CYCLES - 1 + k cycles before; in the next cycle ``phase`` 0 may begin. With ``phase`` running from
    0 to 7, the limb that :data:`LIMB_AT_PHASE` selects in phase p stands at ``limb`` in phase p + 1.

    Parameters
    ----------
    spec : LayerNormSpec
    fabric : str
        Mapping of multipliers, see :class:`vitric.hdl.fabric.multiply.RegisteredProduct`, and adders.

    Members
    -------
    x : array of ``signed(in_bits)``, in
        One value per lane.
    add : 1, in
        Add ``x``.
    shift : 1, in
        Move the sums by one lane.
    load : 1, in
    next_lane : in
        The lane that ``load`` reads.
    phase : unsigned(3), in
    limb : signed(17), out
    """

    def __init__(self, spec: LayerNormSpec, *, fabric: str = "generic"):
        self.spec = spec
        self.fabric = fabric
        super().__init__({
            "x": In(data.ArrayLayout(signed(spec.in_bits), spec.lanes)), "add": In(1), "shift": In(1),
            "load": In(1), "next_lane": In(range(max(spec.lanes, 2))), "phase": In(3),
            "limb": Out(signed(LIMB_BITS + 1)),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec = self.spec
        total_bits, squares_bits = spec.sum_bits, spec.square_sum_bits
        shift = Signal(3)   # the squares come two cycles after the sum
        settle = Signal(2, init=3)   # after a reset, products of what came before it leave the multipliers
        m.d.sync += [shift.eq(Cat(self.shift, shift)), settle.eq(settle >> 1)]
        totals = [Signal(signed(total_bits), name=f"total_{lane}") for lane in range(spec.lanes)]
        squares = [Signal(unsigned(squares_bits), name=f"squares_{lane}") for lane in range(spec.lanes)]
        for lane in range(spec.lanes):
            x = Signal(signed(spec.in_bits), name=f"x_{lane}")
            m.submodules[f"square_{lane}"] = square = RegisteredProduct(
                signed(spec.in_bits), signed(spec.in_bits), fabric=self.fabric)
            m.d.comb += [square.a.eq(x), square.b.eq(x), square.en.eq(1)]
            next_total, next_squares = (sums[lane + 1] if lane + 1 < spec.lanes else 0 for sums in (totals, squares))
            m.d.sync += [
                x.eq(Mux(self.add, self.x[lane], 0)),
                totals[lane].eq(select_add(m, x, shift[0], next_total, totals[lane], total_bits,
                                           name=f"add_{lane}", fabric=self.fabric)),
                squares[lane].eq(select_add(m, square.p[:2 * spec.in_bits - 1], shift[2], next_squares, squares[lane],
                                            squares_bits, name=f"add_square_{lane}", fabric=self.fabric)),
            ]
            with m.If(settle[0]):
                m.d.sync += squares[lane].eq(0)
        self._read(m, totals[0], squares[0], shift[2])
        return m

    def _read(self, m: Module, total, squares, moving):
        """Keep the sums of all lanes; select one limb of one lane's."""
        spec = self.spec
        late = [Signal.like(total, name=f"total_late_{k}", reset_less=True) for k in range(2)]
        m.d.sync += [late[0].eq(total), late[1].eq(late[0])]
        m.submodules.sums = memory = Memory(
            shape=len(total) + len(squares), depth=max(spec.lanes, 2), init=[], attrs={"ram_style": "block"})
        read, write = memory.read_port(), memory.write_port()
        m.d.sync += write.addr.eq(Mux(moving, write.addr + 1, 0))
        m.d.comb += [
            write.en.eq(moving), write.data.eq(Cat(late[1], squares)),
            read.en.eq(self.load), read.addr.eq(self.next_lane),
        ]
        total, squares = read.data[:len(total)].as_signed(), read.data[len(total):]
        limbs = [
            total[:LIMB_BITS], total >> LIMB_BITS,
            squares[:LIMB_BITS], squares[LIMB_BITS:2 * LIMB_BITS], squares[2 * LIMB_BITS:],
        ]

        def selected(limb):
            return reduce(or_, (self.phase == phase for phase, at in LIMB_AT_PHASE.items() if at == limb))

        m.d.comb += self.limb.eq(select(
            m, ((selected(limb), value) for limb, value in enumerate(limbs)), signed(LIMB_BITS + 1), name="limb",
            fabric=self.fabric))
