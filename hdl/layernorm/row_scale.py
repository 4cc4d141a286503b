"""Arithmetic of one row after another: from its sums to the constants that the lane needs, one row per 8 cycles."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.layernorm import LIMB_BITS, LayerNormSpec

from ..activation.multiply import RegisteredProduct
from .layouts import constants_layout, lane_scale_layout

__all__ = ["RESULT_CYCLE", "RowScale"]

RESULT_CYCLE = 34
"""Cycle of a row, counted from its phase 0, in which its result stands at ``result``."""


class RowScale(wiring.Component):
    """From the limbs of S1 and S2 to multiplier, offset and position of a row (see ``LayerNormSpec`` for the maths).

    Two multipliers work a fixed schedule of 8 phases, in which about five rows are under way. The first computes V in
    columns of 16 bits (phases 2 to 7), ``norm * r`` (phase 0) and ``slope * fraction`` (phase 1); the second computes
    S1 * inverse (phases 0 to 5) and mean * multiplier (phases 6 and 7). An accumulator behind each adds a column and
    moves down 16 bits to start the next. There is no handshake and no stall.

    Schedule in cycles after phase 0 of the row: limbs from 2, V at 10, mantissa at 15, table at 16, r at 20,
    ``norm * r`` at 26, multiplier at 30, offset at :data:`RESULT_CYCLE`.

    Parameters
    ----------
    spec : LayerNormSpec
    mapping : str
        Multiplier mapping.

    Members
    -------
    limb : signed(17), in
        As :class:`vitric.hdl.layernorm.moments.Moments` gives it.
    phase : unsigned(3), in
    constants : ``constants_layout``, in
        Of the row that is in its first 8 cycles.
    result : ``lane_scale_layout``, out
        Valid in cycle :data:`RESULT_CYCLE` of a row, which is phase 2.
    """

    def __init__(self, spec: LayerNormSpec, *, mapping: str = "generic"):
        self.spec = spec
        self.mapping = mapping
        super().__init__({
            "limb": In(signed(LIMB_BITS + 1)), "phase": In(3), "constants": In(constants_layout(spec)),
            "result": Out(lane_scale_layout(spec)),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec = self.spec
        at = [Signal(name=f"phase_{phase}") for phase in range(8)]
        m.d.comb += [at[phase].eq(self.phase == phase) for phase in range(8)]

        # Constants of the rows that started 8, 16 and 24 cycles ago.
        constants = [self.constants]
        for age in (1, 2, 3):
            older = Signal(constants_layout(spec), reset_less=True, name=f"constants_{age}")
            with m.If(at[7]):
                m.d.sync += older.eq(constants[-1])
            constants.append(older)

        fraction_bits = spec.mantissa_bits - spec.index_bits
        slope, fraction, r = Signal(spec.slope_bits), Signal(fraction_bits), Signal(spec.rsqrt_bits)
        low = _hold(m, at[2], self.limb[:LIMB_BITS], "low")
        variance, product = self._first(m, at, constants, low, {0: (r, constants[3].row.norm), 1: (slope, fraction)})
        mantissa, exponent, zero = self._normalise(m, at, variance)
        line = self._table(m, at, mantissa)
        rounded = Cat(Const(1 << fraction_bits - 1, fraction_bits), line.base) - product[:spec.slope_bits + fraction_bits]
        m.d.comb += [
            slope.eq(line.slope), fraction.eq(_hold(m, at[7], mantissa[:fraction_bits], "fraction_0")),
            r.eq(_hold(m, at[3], rounded[fraction_bits:][:spec.rsqrt_bits], "r_0")),
        ]
        multiplier, position = self._multiplier(m, at, product, constants[3], exponent, zero)
        high = _hold(m, at[6], self.limb[:max(spec.sum_bits - LIMB_BITS, 1)].as_signed(), "high")
        self._offset(m, at, constants[1], (low, high), multiplier, position)
        return m

    def _first(self, m, at, constants, low, others):
        """First multiplier: return V, complete in phase 2, and the raw product; ``others`` are operands by phase."""
        spec = self.spec
        m.submodules.first = first = RegisteredProduct(signed(18), signed(18), mapping=self.mapping)
        m.d.comb += [first.en.eq(1), first.a.eq(self.limb), first.b.eq(constants[0].length)]
        with m.If(at[2] | at[6]):
            m.d.comb += first.b.eq(self.limb)
        with m.If(at[5]):
            m.d.comb += first.b.eq(Cat(Const(0, 1), low))
        for phase, (a, b) in others.items():
            with m.If(at[phase]):
                m.d.comb += [first.a.eq(a), first.b.eq(b)]

        acc = Signal(signed(36), reset_less=True)
        subtract = at[4] | at[7] | at[0]
        carried = Mux(at[4], 0, Mux(at[6] | at[0], acc >> LIMB_BITS, acc))
        with m.If(~at[2] & ~at[3]):
            m.d.sync += acc.eq(Mux(subtract, carried - first.p, carried + first.p))
        low_limb = _hold(m, at[6], acc[:LIMB_BITS], "variance_0")
        middle_limb = _hold(m, at[0], acc[:LIMB_BITS], "variance_1")
        return Cat(low_limb, middle_limb, acc)[:spec.variance_bits], first.p

    def _normalise(self, m, at, variance):
        """Shift V left by pairs of bits, one register per power of two: return mantissa, exponent k and zero flag.

        The mantissa is complete in phase 7; exponent and flag hold in the next-but-one round of phases.
        """
        spec = self.spec
        count = Const(0, 0)   # half of the total shift, most significant bit first
        value = variance
        for amount in (32, 16, 8, 4, 2):
            stage = Signal(spec.variance_bits, reset_less=True, name=f"normalised_{amount}")
            moved = Signal(name=f"moved_{amount}")
            if amount < spec.variance_bits:
                m.d.comb += moved.eq(value[spec.variance_bits - amount:] == 0)
                m.d.sync += stage.eq(Mux(moved, value << amount, value))
            else:
                m.d.sync += stage.eq(value)
            flags = Signal(len(count) + 1, reset_less=True, name=f"shifts_{amount}")
            m.d.sync += flags.eq(Cat(moved, count))
            count, value = flags, stage
        zero = _hold(m, at[7], ~value[-2:].any(), "zero_0")
        half = Const(spec.variance_bits // 2 - 1, 6)
        exponent = _hold(m, at[7], (half - count)[:6].as_signed(), "exponent_0")
        return (
            value[spec.variance_bits - spec.mantissa_bits:],
            _hold(m, at[7], exponent, "exponent_1"), _hold(m, at[7], zero, "zero_1"),
        )

    def _table(self, m, at, mantissa):
        """Look the leading bits of the mantissa up: return base and slope, which hold from phase 0 to 7."""
        spec = self.spec
        unused = 1 << spec.index_bits - 2
        layout = data.StructLayout({"base": spec.rsqrt_bits, "slope": spec.slope_bits})
        rows = [{"base": 0, "slope": 0}] * unused + [{"base": b, "slope": s} for b, s in spec.rsqrt_table]
        m.submodules.rsqrt = rsqrt = Memory(
            shape=layout, depth=len(rows), init=rows, attrs={"ram_style": "block"})
        read = rsqrt.read_port()
        m.d.comb += [read.addr.eq(mantissa[-spec.index_bits:]), read.en.eq(at[7])]
        return read.data

    def _multiplier(self, m, at, product, constants, exponent, zero):
        """Normalise norm * r and bring it to 18 bits: return the multiplier (phases 6 to 5) and the position."""
        spec = self.spec
        width = spec.rsqrt_bits + spec.length_bits
        small = ~product[width - 1]
        q = _hold(m, at[2], Mux(small, product[:width] << 1, product[:width])[:width], "q")
        top = spec.shift_positions * spec.shift_step - 1
        below = Const(spec.y_integer, 6) - constants.row.exponent + exponent + small
        down = _hold(m, at[2], below[:top.bit_length()], "down")
        position = Signal(2, reset_less=True)
        within = Signal(range(spec.shift_step), reset_less=True)
        for index in range(spec.shift_positions):
            with m.If(down >= index * spec.shift_step):
                m.d.sync += [position.eq(index), within.eq(down - index * spec.shift_step)]
        shifted = Signal(spec.multiplier_bits + 1, reset_less=True)  # the lowest bit is for rounding
        m.d.sync += shifted.eq(q[spec.length_exponent - 1:] >> within)
        rounded = shifted[1:] + shifted[0]
        full = rounded[:spec.multiplier_bits] | rounded[spec.multiplier_bits].replicate(spec.multiplier_bits)
        return _hold(m, at[5], Mux(zero, 0, full), "multiplier"), position

    def _offset(self, m, at, constants, total, multiplier, position):
        """Second multiplier: the mean from the limbs of S1, then half - mean * multiplier."""
        spec = self.spec
        m.submodules.second = second = RegisteredProduct(signed(18), unsigned(18), mapping=self.mapping)
        low, high = _hold(m, at[7], total[0], "low_1"), total[1]
        acc = Signal(signed(37), reset_less=True)
        mean_shift = spec.inverse_fraction - spec.mean_fraction
        limbs = [_hold(m, at[phase], acc[:LIMB_BITS], f"mean_{phase}") for phase in (3, 5, 7)]
        mean = Cat(*limbs, acc)[mean_shift:][:spec.mean_bits]
        mean = _hold(m, at[0], _hold(m, at[0], mean, "mean_a"), "mean_b")

        inverse = [constants.row.inverse[k * LIMB_BITS:(k + 1) * LIMB_BITS] for k in range(3)]
        m.d.comb += second.en.eq(1)
        operands = {
            0: (low, inverse[0]), 1: (low, inverse[1]), 2: (high, inverse[0]),
            3: (low, inverse[2]), 4: (high, inverse[1]), 5: (high, inverse[2]),
            6: (mean[:LIMB_BITS], multiplier), 7: (mean[LIMB_BITS:].as_signed(), multiplier),
        }
        with m.Switch(self.phase):
            for phase, (a, b) in operands.items():
                with m.Case(phase):
                    m.d.comb += [second.a.eq(a), second.b.eq(b)]
        carried = Mux(at[4] | at[6], acc, acc >> LIMB_BITS)
        carried = Mux(at[2], 1 << mean_shift - 1, Mux(at[0], 1 << spec.mean_fraction - 1, carried))
        m.d.sync += acc.eq(carried + second.p)

        low_limb = _hold(m, at[1], acc[:LIMB_BITS], "offset_0")
        offset = Cat(low_limb, acc)[spec.mean_fraction:].as_signed()
        half = Signal(signed(spec.product_bits))
        with m.Switch(position):
            for index in range(1, spec.shift_positions):
                with m.Case(index):
                    m.d.comb += half.eq(1 << index * spec.shift_step - 1)
        m.d.comb += [
            self.result.multiplier.eq(multiplier), self.result.position.eq(position),
            self.result.offset.eq(half - offset),
        ]


def _hold(m: Module, load, value, name: str):
    """Return a register that takes ``value`` in cycles with ``load``."""
    register = Signal.like(value, name=name, reset_less=True)
    with m.If(load):
        m.d.sync += register.eq(value)
    return register
