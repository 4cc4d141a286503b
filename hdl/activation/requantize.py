"""Requantization: accumulators to output codes."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.check import check_choice, check_int
from vitric.golden.spec.requantize import RequantizeSpec

from ..fixed import assign
from .multiply import MAPPINGS, PipelinedMultiplier
from .pipeline import delay

__all__ = ["Requantize", "requantize_input", "requantize_output"]


def requantize_input(spec: RequantizeSpec, tag_bits: int = 0) -> data.StructLayout:
    """Return the layout of an input beat of :class:`Requantize`."""
    return data.StructLayout({
        "acc": data.ArrayLayout(signed(spec.acc_bits), spec.lanes),
        "bias": signed(spec.bias_bits),
        "multiplier": unsigned(spec.multiplier_bits),
        "shift": unsigned(spec.shift_bits),
        "zero_point": signed(spec.code_bits),
        "low": signed(spec.code_bits),
        "high": signed(spec.code_bits),
        "tag": unsigned(tag_bits),
    })


def requantize_output(spec: RequantizeSpec, tag_bits: int = 0) -> data.StructLayout:
    """Return the layout of an output beat of :class:`Requantize`."""
    return data.StructLayout({
        "y": data.ArrayLayout(signed(spec.code_bits), spec.lanes),
        "tag": unsigned(tag_bits),
    })


class Requantize(wiring.Component):
    """``y = clamp(round_shift((acc + bias) * multiplier, shifts[shift]) + zero_point, low, high)`` in each lane.

    Rounding is half up. The result is exact for every input with ``low <= zero_point <= high`` (a real zero has a
    code, as in any sound quantization; see :meth:`RequantizeSpec.check_codes`) and undefined otherwise. All lanes of
    a beat share everything but ``acc``, normally because they are different tokens of one output channel. The unit
    keeps no state: every beat carries its own parameters.

    *Handshake*: stream rules 1 to 4 of :mod:`vitric.hdl.streams`. The pipeline advances as a whole while
    ``o.ready | ~o.valid``; that is also ``i.ready``, so a stall passes through in the same cycle. Bubbles inside the
    pipeline stay.

    *Latency* ``spec.latency`` cycles, *interval* 1 cycle.

    *Number format*: accumulators, bias, zero point, limits and results are signed integers, the multiplier is
    unsigned; with ``multiplier_bits`` = 0 the factor is 1. ``shift`` is an index into ``spec.shifts``.

    Parameters
    ----------
    spec : RequantizeSpec
        Lanes and widths.
    tag_bits : int
        Width of the field ``tag`` that passes through unchanged with its beat, 0 to 64.
    mapping : {"generic", "ecp5", "ice40"}
        How multipliers are built: :data:`vitric.hdl.activation.multiply.MAPPINGS`.

    Members
    -------
    i : stream of :func:`requantize_input`, in
        ``acc``: ``lanes`` x signed(``acc_bits``); ``bias``: signed(``bias_bits``); ``multiplier``:
        unsigned(``multiplier_bits``); ``shift``: unsigned(``shift_bits``); ``zero_point``, ``low``, ``high``:
        signed(``code_bits``); ``tag``: unsigned(``tag_bits``).
    o : stream of :func:`requantize_output`, out
        ``y``: ``lanes`` x signed(``code_bits``); ``tag``: unsigned(``tag_bits``).
    """

    def __init__(self, spec: RequantizeSpec, *, tag_bits: int = 0, mapping: str = "generic"):
        check_int("tag_bits", tag_bits, 0, 64)
        check_choice("mapping", mapping, MAPPINGS)
        self.spec = spec
        self.tag_bits = tag_bits
        self.mapping = mapping
        super().__init__({
            "i": In(stream.Signature(requantize_input(spec, tag_bits))),
            "o": Out(stream.Signature(requantize_output(spec, tag_bits))),
        })

    @property
    def latency(self) -> int:
        """Cycles from an input transfer to ``o.valid`` without stalls."""
        return self.spec.latency

    @property
    def interval(self) -> int:
        """Cycles between accepted beats without stalls."""
        return self.spec.interval

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec = self.spec
        en = Signal()
        valid = Signal(spec.latency)
        m.d.comb += [
            en.eq(self.o.ready | ~self.o.valid),
            self.i.ready.eq(en),
            self.o.valid.eq(valid[-1]),
            self.o.p.tag.eq(delay(m, self.i.p.tag, en, spec.latency, name="tag")),
        ]
        with m.If(en):
            m.d.sync += valid.eq(Cat(self.i.valid, valid))
        # Stages after the product: shift | add zero point | clamp.
        shift = delay(m, self.i.p.shift, en, spec.product_latency, name="shift")
        codes = Cat(self.i.p.zero_point, self.i.p.low, self.i.p.high)
        codes = delay(m, codes, en, spec.product_latency + 1, name="codes")
        for lane in range(spec.lanes):
            floor, outside, half = self._shift(m, self._product(m, lane, en), shift, en, lane)
            m.d.comb += self.o.p.y[lane].eq(self._clamp(m, floor, outside, half, codes, en, lane))
        return m

    def _product(self, m: Module, lane: int, en: Value) -> Value:
        """Return ``(acc + bias) * multiplier``, registered, ``spec.product_latency`` cycles after the input."""
        spec = self.spec
        total = Signal(signed(spec.sum_bits), name=f"total_{lane}")
        m.d.comb += assign(total, self.i.p.acc[lane] + self.i.p.bias)
        if not spec.multiplier_bits:
            return delay(m, total, en, 1, name=f"product_{lane}")
        m.submodules[f"multiplier_{lane}"] = multiplier = PipelinedMultiplier(
            signed(spec.sum_bits), unsigned(spec.multiplier_bits), mapping=self.mapping)
        m.d.comb += [multiplier.a.eq(total), multiplier.b.eq(self.i.p.multiplier), multiplier.en.eq(en)]
        return multiplier.p

    def _shift(self, m: Module, product: Value, shift: Value, en: Value, lane: int) -> tuple[Value, Value, Value]:
        """Return ``product >> shift`` in ``floor_bits``, whether it does not fit them, and the bit it rounds by.

        Where it does not fit, the top bit of the first value is the sign of the product and its other bits mean
        nothing.
        """
        spec = self.spec
        sign = product[-1]
        padded = Cat(product, sign.replicate(spec.floor_bits))
        candidates = []
        outside = Const(0, 1)
        end = spec.product_bits - 1
        for amount in reversed(spec.shifts):
            # Outside if a bit from the floor's sign up differs from the sign; the larger shifts looked at the top ones.
            begin = min(amount + spec.floor_bits - 1, end)
            outside = outside | (product[begin:end] ^ sign.replicate(end - begin)).any()
            end = begin
            half = product[amount - 1] if amount else Const(0, 1)
            candidates.insert(0, Cat(half, padded[amount:amount + spec.floor_bits - 1], outside))
        # Most significant index bit first: with evenly spaced shifts the multiplexers of one level are the same.
        for bit in reversed(range(spec.shift_bits)):
            pairs = len(candidates) // 2
            candidates = [Mux(shift[bit], candidates[n + pairs], candidates[n]) for n in range(pairs)]
        result = delay(m, Cat(candidates[0], sign), en, 1, name=f"floor_{lane}")
        half, floor, outside = result[0], result[1:spec.floor_bits], result[spec.floor_bits]
        return Cat(floor, result[-1]).as_signed(), outside, half

    def _clamp(self, m: Module, floor: Value, outside: Value, half: Value, codes: Value, en: Value, lane: int) -> Value:
        """Return the registered code, two cycles after ``floor``.

        Because the zero point lies between the limits, a negative floor can only fall below ``low``, and any other
        only exceed ``high``: one comparison is enough.
        """
        spec = self.spec
        zero_point, low, high = (codes[n * spec.code_bits:(n + 1) * spec.code_bits].as_signed() for n in range(3))
        total = Signal(signed(spec.shifted_bits), name=f"total_{lane}", reset_less=True)
        not_limit = Signal(signed(spec.code_bits), name=f"not_limit_{lane}", reset_less=True)
        code = Signal(signed(spec.code_bits), name=f"code_{lane}", reset_less=True)
        negative = delay(m, floor[-1], en, 1, name=f"negative_{lane}")
        outside = delay(m, outside, en, 1, name=f"outside_{lane}")
        # Both sums take a carry-in: the operands get one more bit at the bottom. The second is `total - limit` for a
        # negative floor and `total - limit - 1` otherwise; `shifted_bits` hold it unless `outside`.
        rounded = (Cat(1, floor).as_signed() + Cat(half, zero_point).as_signed())[1:].as_signed()
        difference = Cat(1, total).as_signed() + Cat(negative, not_limit).as_signed()
        clamped = outside | (difference[spec.shifted_bits] == negative)
        with m.If(en):
            m.d.sync += [
                assign(total, rounded),
                not_limit.eq(~Mux(floor[-1], low, high)),
                code.eq(Mux(clamped, ~not_limit, total[:spec.code_bits].as_signed())),
            ]
        return code
