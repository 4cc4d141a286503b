"""Arithmetic of one row after another: from its sums to the constants that the lane needs, one row per 8 cycles."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.layernorm import LIMB_BITS, LayerNormSpec

from ..fabric.select import select
from ..fabric.select_add import select_add
from .layouts import constants_layout, lane_scale_layout
from .product import row_product

__all__ = ["RowScale", "result_cycle"]


def result_cycle(spec: LayerNormSpec) -> int:
    """Return the cycle of a row, counted from phase 0 at the port, in which its result stands at ``result``."""
    return 36 + 4 * spec.product_rounds * spec.row_interval


class RowScale(wiring.Component):
    """From the limbs of S1 and S2 to multiplier, offset and position of a row (see ``LayerNormSpec`` for the maths).

    Two multipliers work a fixed schedule of 8 phases, in which about five rows are under way. The first computes V in
    columns of 16 bits (phases 2 to 7), ``norm * r`` (phase 0) and ``slope * fraction`` (phase 1); the second computes
    S1 * inverse (phases 1 to 6) and mean * multiplier (phases 7 and 0). An accumulator behind each adds a column and
    moves down 16 bits to start the next. There is no handshake and no stall.

    Schedule in cycles after phase 0 of the row: limbs from 1, V at 10, mantissa at 15, table at 16, r at 20,
    ``norm * r`` at 26, multiplier at 30, mean times multiplier at 35, offset at 36. Where products take a round of 8
    cycles longer, so does each of the four that depend on each other, and what meets them waits in further registers.

    Parameters
    ----------
    spec : LayerNormSpec
    static_row : bool
        ``constants`` holds for all rows under way.
    fabric : str
        What multipliers are built of.

    Members
    -------
    limb : signed(17), in
        As :class:`vitric.hdl.layernorm.moments.Moments` gives it.
    phase : unsigned(3), in
    constants : ``constants_layout``, in
        Of the row that is in its first 8 cycles.
    result : ``lane_scale_layout``, out
        Valid in cycle :func:`result_cycle` of a row, counted at the port.
    """

    def __init__(self, spec: LayerNormSpec, *, static_row: bool = False, fabric: str = "generic"):
        self.spec = spec
        self.static_row = static_row
        self.fabric = fabric
        super().__init__({
            "limb": In(signed(LIMB_BITS + 1)), "phase": In(3), "constants": In(constants_layout(spec)),
            "result": Out(lane_scale_layout(spec)),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec = self.spec
        # Operands are selected one cycle before they are multiplied.
        limb = _hold(m, 1, self.limb, "limb_late")
        at = [Signal(name=f"phase_{index}") for index in range(8)]
        m.d.comb += [at[index].eq(self.phase == index) for index in range(8)]

        rounds = spec.product_rounds
        # Constants of the rows that started 0, 8, 16, ... cycles ago.
        constants = [self.constants]
        for age in range(1, 4 + 3 * rounds):
            constants.append(self.constants if self.static_row else _hold(m, at[7], constants[-1], f"constants_{age}"))

        fraction_bits = spec.mantissa_bits - spec.index_bits
        slope, fraction, r = Signal(spec.slope_bits), Signal(fraction_bits), Signal(spec.rsqrt_bits)
        low = _hold(m, at[2], limb[:LIMB_BITS], "low")
        high = _hold(m, at[6], limb[:spec.sum_bits - LIMB_BITS].as_signed(), "high")
        others = {0: (r, constants[2 + 2 * rounds].row.norm), 1: (slope, fraction)}
        variance, product = self._first(m, at, low, constants[0].minus_length, others)
        mantissa, exponent = self._normalise(m, at, variance)
        line = self._table(m, at, mantissa)
        rounding = Const(1 << fraction_bits - 1, fraction_bits)
        base = _hold(m, at[1], line.base, "base", rounds=1 + rounds)
        rounded = Cat(rounding, base) - product[:spec.slope_bits + fraction_bits]
        m.d.comb += [
            slope.eq(line.slope), fraction.eq(_hold(m, at[7], mantissa[:fraction_bits], "fraction_0")),
            r.eq(_hold(m, at[3], rounded[fraction_bits:][:spec.rsqrt_bits], "r_0")),
        ]
        multiplier, position = self._multiplier(m, at, product, constants[3 + 3 * rounds].row.exponent, exponent)
        self._offset(m, at, constants[1].row.inverse, (low, high), multiplier, position)
        return m

    def _first(self, m, at, low, minus_length, others):
        """First multiplier: return V, complete in phase 2, and the raw product; ``others`` are operands by phase."""
        spec = self.spec
        m.submodules.first = first = row_product(spec, signed(18), signed(18), fabric=self.fabric)
        n = minus_length
        a = {phase: self.limb for phase in range(2, 8)} | {phase: pair[0] for phase, pair in others.items()}
        b = {2: self.limb, 3: n, 4: n, 5: low << 1, 6: self.limb, 7: n} | {k: pair[1] for k, pair in others.items()}
        m.d.comb += [
            first.en.eq(1), first.a.eq(_operand(m, at, a, signed(18), "first_a", self.fabric)),
            first.b.eq(_operand(m, at, b, signed(18), "first_b", self.fabric)),
        ]
        # The accumulator starts at -1 and takes S1*S1 - n*S2, so that it ends at -V - 1, which is ~V.
        acc = Signal(signed(36), reset_less=True)
        total = select_add(m, first.p, at[6] | at[0], acc >> LIMB_BITS, acc, len(acc), name="add_first",
                           fabric=self.fabric)
        m.d.sync += acc.eq(Mux(at[3], -1, total))
        low_limb = _hold(m, at[6], acc[:LIMB_BITS], "variance_0")
        middle_limb = _hold(m, at[0], acc[:LIMB_BITS], "variance_1")
        return ~Cat(low_limb, middle_limb, acc)[:spec.variance_bits], first.p

    def _normalise(self, m, at, variance):
        """Shift V left by pairs of bits until one of the two top bits is 1: return mantissa and exponent k.

        V arrives in phase 2; first its highest 16, 32 or 48 zeros go, then 4, 8 or 12, then 2. The mantissa is
        complete in phase 7, the exponent holds in the next-but-one round of phases. The mantissa of V = 0 is 0.
        """
        spec = self.spec
        value = _hold(m, 1, variance, "normalised_0")
        count = Const(0, 0)  # half of the total shift, most significant bits first
        for amount in (16, 4):
            blocks = [value[max(spec.variance_bits - (k + 1) * amount, 0):spec.variance_bits - k * amount].any()
                      for k in range(3) if k * amount < spec.variance_bits]
            chosen = []
            if len(blocks) * amount < spec.variance_bits:  # else what is in none of them is 0
                blocks.append(Const(1, 1))
            for k, block in enumerate(blocks):
                first = Signal(name=f"first_{amount}_{k}")
                m.d.comb += first.eq(block & ~_any(blocks[:k]))
                chosen.append(first)
            shifts = [(first, value << k * amount) for k, first in enumerate(chosen)]
            steps = Signal(2, name=f"steps_{amount}", reset_less=True)
            m.d.sync += steps.eq(_any(Mux(first, k, 0) for k, first in enumerate(chosen)))
            older = _hold(m, 1, count, f"count_{amount}") if len(count) else count
            value = select(m, shifts, spec.variance_bits, name=f"shifted_{amount}", fabric=self.fabric)
            count = Cat(steps, older)
            if amount == 16:
                value, count = _hold(m, 1, value, "normalised_1"), _hold(m, 1, count, "count_1")
        small = ~value[-2:].any()
        value = _hold(m, 1, Mux(small, value << 2, value)[:spec.variance_bits], "normalised_2")
        count = _hold(m, 1, Cat(small, count), "count_2")
        half = Const(spec.variance_bits // 2 - 1, 6)
        exponent = _hold(m, at[7], (half - count)[:6].as_signed(), "exponent", rounds=2 + 2 * spec.product_rounds)
        return value[spec.variance_bits - spec.mantissa_bits:], exponent

    def _table(self, m, at, mantissa):
        """Look the leading bits of the mantissa up: return base and slope, which hold from phase 0 to 7.

        A mantissa of 0 finds zeros, so that the multiplier of a row without variance is 0.
        """
        spec = self.spec
        unused = 1 << spec.index_bits - 2
        layout = data.StructLayout({"base": spec.rsqrt_bits, "slope": spec.slope_bits})
        rows = [{"base": 0, "slope": 0}] * unused + [{"base": b, "slope": s} for b, s in spec.rsqrt_table]
        m.submodules.rsqrt = rsqrt = Memory(
            shape=layout, depth=len(rows), init=rows, attrs={"ram_style": "block"})
        read = rsqrt.read_port()
        m.d.comb += [read.addr.eq(mantissa[-spec.index_bits:]), read.en.eq(at[7])]
        return read.data

    def _multiplier(self, m, at, product, length_exponent, exponent):
        """Normalise norm * r and bring it to 18 bits: return the multiplier (valid from phase 6) and the position."""
        spec = self.spec
        width = spec.rsqrt_bits + spec.length_bits
        small = ~product[width - 1]
        q = _hold(m, at[2], Mux(small, product[:width] << 1, product[:width])[:width], "q")
        top = spec.shift_positions * spec.shift_step - 1
        below = Const(spec.y_integer, 6) - length_exponent + exponent + small
        down = _hold(m, at[2], below[:top.bit_length()], "down")
        position = Signal(2, reset_less=True)
        within = Signal(range(spec.shift_step))
        for index in range(spec.shift_positions):
            with m.If(down >= index * spec.shift_step):
                m.d.sync += position.eq(index)
                m.d.comb += within.eq(down - index * spec.shift_step)
        # The lowest bit is for rounding.
        here = _hold(m, 1, within, "within_0")
        shifted = select(m, (
            (here == w, q[spec.length_exponent - 1 + w:]) for w in range(spec.shift_step)
        ), spec.multiplier_bits + 1, name="shifted", fabric=self.fabric)
        rounded = shifted[1:] + shifted[0]
        full = rounded[:spec.multiplier_bits] | rounded[spec.multiplier_bits].replicate(spec.multiplier_bits)
        return _hold(m, at[5], full, "multiplier"), position

    def _offset(self, m, at, inverse, total, multiplier, position):
        """Second multiplier: the mean from the limbs of S1, then mean * multiplier, shifted by the position."""
        spec = self.spec
        m.submodules.second = second = row_product(spec, signed(18), unsigned(18), fabric=self.fabric)
        low, high = _hold(m, at[7], total[0], "low_1"), total[1]
        acc, total = Signal(signed(37), reset_less=True), Signal(signed(37))
        mean_shift = spec.inverse_fraction - spec.mean_fraction
        limbs = [_hold(m, at[phase], acc[:LIMB_BITS], f"mean_{phase}") for phase in (4, 6, 0)]
        mean = Cat(*limbs, acc)[mean_shift:][:spec.mean_bits]
        mean = _hold(m, at[1], mean, "mean", rounds=2 + 2 * spec.product_rounds)

        low_inverse, middle_inverse, high_inverse = (inverse[k * LIMB_BITS:(k + 1) * LIMB_BITS] for k in range(3))
        a = {1: low, 2: low, 3: high, 4: low, 5: high, 6: high, 7: mean[:LIMB_BITS], 0: mean[LIMB_BITS:].as_signed()}
        b = {1: low_inverse, 2: middle_inverse, 3: low_inverse, 4: high_inverse, 5: middle_inverse, 6: high_inverse,
             7: multiplier, 0: multiplier}
        m.d.comb += [
            second.en.eq(1), second.a.eq(_operand(m, at, a, signed(18), "second_a", self.fabric)),
            second.b.eq(_operand(m, at, b, unsigned(18), "second_b", self.fabric)),
        ]
        # Odd phases add to the sum itself or, 1 and 3, to the rounding half of a new one; even ones to the next column.
        kept = select(m, [(at[4] | at[6], total)], len(acc), name="kept", fabric=self.fabric)
        half = Signal(len(acc), reset_less=True)
        m.d.sync += half.eq(Mux(at[2], 1 << mean_shift - 1, Mux(at[0], 1 << spec.mean_fraction - 1, 0)))
        m.d.comb += total.eq(select_add(m, second.p, ~self.phase[0], acc >> LIMB_BITS, kept | half, len(acc),
                                        name="add_second", fabric=self.fabric))
        m.d.sync += acc.eq(total)

        multiplier = _hold(m, at[5], multiplier, "multiplier_late", rounds=spec.product_rounds)
        position = _hold(m, at[3], position, "position_held", rounds=spec.product_rounds)
        low_limb = _hold(m, at[2], acc[:LIMB_BITS], "offset_0")
        offset = Cat(low_limb, acc)[spec.mean_fraction:].as_signed()
        m.d.comb += [
            self.result.multiplier.eq(multiplier), self.result.position.eq(_hold(m, 1, position, "position_late")),
            self.result.offset.eq(select(
                m, ((position == index, offset >> index * spec.shift_step) for index in range(spec.shift_positions)),
                signed(spec.y_bits), name="offset", fabric=self.fabric)),
        ]


def _hold(m: Module, load, value, name: str, *, rounds: int = 1):
    """Return the last of ``rounds`` registers in a row that take ``value`` in cycles with ``load``."""
    for index in range(rounds):
        register = Signal.like(value, name=name if rounds == 1 else f"{name}_{index}", reset_less=True)
        with m.If(load):
            m.d.sync += register.eq(value)
        value = register
    return value


def _operand(m: Module, at: list, values: dict, shape, name: str, fabric: str):
    """Return the operand of each phase, selected in the phase before; equal values share a register."""
    sources = {}
    for phase, value in values.items():
        sources.setdefault(id(value), (value, []))[1].append(at[phase - 1])
    return select(m, ((_any(phases), value) for value, phases in sources.values()), shape, name=name, fabric=fabric)


def _any(values):
    return reduce(or_, values, Const(0, 1))
