"""Requantization: accumulators to output codes."""

from amaranth.hdl import Cat, Const, Module, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.check import check_choice, check_int
from vitric.golden.spec.requantize import RequantizeSpec

from ..fabric import FABRICS
from ..fabric.multiply import RegisteredProduct
from ..fabric.select import select
from ..fabric.select_add import select_add
from ..fixed import overflows
from ..pipeline import delay

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
    """``y = clamp(round_shift(((acc >> pre) + bias) * multiplier, post) + zero_point, low, high)`` in each lane.

    Rounding is half up. The result is exact for every input with ``low <= high`` and undefined otherwise; with a
    multiplier, a sum ``(acc >> pre) + bias`` that does not fit ``spec.operand_bits`` gives ``high`` or ``low`` by its
    sign (see :class:`RequantizeSpec`). All lanes of a beat share everything but ``acc``, normally because they are
    different tokens of one output channel. The unit keeps no state: every beat carries its own parameters.

    *Handshake*: stream rules 1 to 4 of :mod:`vitric.hdl.streams`. The pipeline advances as a whole while
    ``o.ready | ~o.valid``; that is also ``i.ready``, so a stall passes through in the same cycle. Bubbles inside the
    pipeline stay.

    *Latency* ``spec.latency`` cycles, *interval* 1 cycle.

    *Number format*: accumulators, bias, zero point, limits and results are signed integers, the multiplier is
    unsigned; with ``multiplier_bits`` = 0 the factor is 1. ``shift`` is an index into ``spec.scalings``, the pairs of
    ``pre`` and ``post``.

    Parameters
    ----------
    spec : RequantizeSpec
        Lanes and widths.
    tag_bits : int
        Width of the field ``tag`` that passes through unchanged with its beat, 0 to 64.
    held : bool
        ``zero_point``, ``low`` and ``high`` are not those of a beat, but hold while any beat is under way.
    fabric : {"generic", "ecp5", "ice40", "gowin"}
        What multipliers (:class:`vitric.hdl.fabric.multiply.RegisteredProduct`) and adders that choose an operand
        (:func:`vitric.hdl.fabric.select_add.select_add`) are built of.

    Members
    -------
    i : stream of :func:`requantize_input`, in
        ``acc``: ``lanes`` x signed(``acc_bits``); ``bias``: signed(``bias_bits``); ``multiplier``:
        unsigned(``multiplier_bits``); ``shift``: unsigned(``shift_bits``); ``zero_point``, ``low``, ``high``:
        signed(``code_bits``); ``tag``: unsigned(``tag_bits``).
    o : stream of :func:`requantize_output`, out
        ``y``: ``lanes`` x signed(``code_bits``); ``tag``: unsigned(``tag_bits``).
    """

    def __init__(self, spec: RequantizeSpec, *, tag_bits: int = 0, held: bool = False, fabric: str = "generic"):
        check_int("tag_bits", tag_bits, 0, 64)
        check_choice("fabric", fabric, FABRICS)
        self.spec = spec
        self.tag_bits = tag_bits
        self.held = held
        self.fabric = fabric
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
        # Stages after the product: shift | count from low | compare with span | clamp.
        shift = delay(m, self.i.p.shift, en, spec.product_latency, name="shift")
        low, high, zero_point = (delay(m, self.i.p[name], en, 0 if self.held else spec.product_latency, name=name)
                                 for name in ("low", "high", "zero_point"))
        start = delay(m, zero_point - low, en, 1, name="start")
        # Unsigned and one bit short of `counted`; its complement, with a 1 on top, makes the comparison a carry.
        span = delay(m, (high - low)[:spec.code_bits], en, 1, name="span")
        not_span = delay(m, Cat(~span, 1), en, 1, name="not_span")
        if not self.held:
            span, low = delay(m, span, en, 2, name="span_late"), delay(m, low, en, 3, name="low")
        for lane in range(spec.lanes):
            product, negative, infinite = self._product(m, lane, en)
            floor, half, outside = self._shift(m, product, shift, infinite, en, lane)
            negative = delay(m, negative, en, 1, name=f"negative_{lane}")
            m.d.comb += self.o.p.y[lane].eq(self._clamp(
                m, floor, half, start, outside, negative, not_span, span, low, en, lane))
        return m

    def _product(self, m: Module, lane: int, en: Value) -> tuple[Value, Value, Value]:
        """Return product, sign of the sum, and whether the sum counts as infinite: ``product_latency`` cycles late."""
        spec = self.spec
        acc, bias = self.i.p.acc[lane], self.i.p.bias
        if spec.narrow_shift:
            total = select_add(m, bias, self.i.p.shift[spec.post_bits], acc >> spec.narrow_shift, acc, spec.sum_bits,
                               name=f"sum_{lane}", fabric=self.fabric).as_signed()
        else:
            total = acc + bias
        if not spec.multiplier_bits:
            product = delay(m, total, en, 1, name=f"product_{lane}")
            return product, product[-1], Const(0, 1)
        m.submodules[f"multiplier_{lane}"] = multiplier = RegisteredProduct(
            signed(spec.operand_bits), unsigned(spec.multiplier_bits), fabric=self.fabric)
        m.d.comb += [
            multiplier.a.eq(total[:spec.operand_bits]), multiplier.b.eq(self.i.p.multiplier), multiplier.en.eq(en),
        ]
        top = delay(m, total[spec.operand_bits - 1:].as_signed(), en, 1, name=f"top_{lane}")
        infinite = delay(m, overflows(top, 1), en, 1, name=f"infinite_{lane}")
        return multiplier.p, delay(m, top[-1], en, 1, name=f"sign_{lane}"), infinite

    def _shift(
        self, m: Module, product: Value, shift: Value, infinite: Value, en: Value, lane: int,
    ) -> tuple[Value, Value, Value]:
        """Return ``product >> post`` in ``floor_bits``, the bit it rounds by, and whether it does not fit; registered.

        Where it does not fit, the first value means nothing.
        """
        spec = self.spec
        sign = product[-1]
        padded = Cat(product, sign.replicate(spec.floor_bits))
        choices = []
        for index, amount in enumerate(spec.shifts):
            half = product[amount - 1] if amount else Const(0, 1)
            beyond = product[min(amount + spec.floor_bits, spec.product_bits) - 1:].as_signed()
            value = Cat(half, padded[amount:amount + spec.floor_bits], overflows(beyond, 1))
            choices.append((shift[:spec.post_bits] == index, value))
        chosen = select(m, choices, spec.floor_bits + 2, name=f"floor_{lane}", en=en,
                        fabric=self.fabric)
        infinite = delay(m, infinite, en, 1, name=f"infinite_floor_{lane}")
        return chosen[1:-1].as_signed(), chosen[0], chosen[-1] | infinite

    def _clamp(
        self, m: Module, floor: Value, half: Value, start: Value, outside: Value, negative: Value, not_span: Value,
        span: Value, low: Value, en: Value, lane: int,
    ) -> Value:
        """Return the registered code, three cycles after ``floor``.

        Codes are counted from ``low``: a count below 0 becomes 0, one above ``span`` becomes ``span``.
        """
        spec = self.spec
        counted = Signal(signed(spec.floor_bits + 1), name=f"counted_{lane}", reset_less=True)
        below, above = (Signal(name=f"{name}_{lane}", reset_less=True) for name in ("below", "above"))
        inside = Signal(spec.code_bits, name=f"inside_{lane}", reset_less=True)
        beyond = Signal(name=f"beyond_{lane}", reset_less=True)
        code = Signal(signed(spec.code_bits), name=f"code_{lane}", reset_less=True)
        # The rounding bit goes in below the lowest bit, so that one carry chain adds all three.
        count = (Cat(half, floor).as_signed() + Cat(half, start).as_signed())[1:].as_signed()
        total = select_add(m, low, beyond, span, inside, spec.code_bits, name=f"clamp_{lane}", fabric=self.fabric)
        with m.If(en):
            m.d.sync += [
                counted.eq(count), below.eq(outside & negative), above.eq(outside & ~negative),
                inside.eq(counted), beyond.eq(above | (counted[:-1] + not_span)[-1]), code.eq(total.as_signed()),
            ]
            with m.If(below | counted[-1] & ~above):
                m.d.sync += [inside.eq(0), beyond.eq(0)]
        return code
