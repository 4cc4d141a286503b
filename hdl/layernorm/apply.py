"""What every element of a row goes through: scale, affine, requantize."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.layernorm import LayerNormSpec

from ..fabric.multiply import RegisteredProduct
from ..fabric.select import select
from .layouts import lane_scale_layout

__all__ = ["AFFINE_STAGE", "SCALE_HOLD", "LaneApply"]

AFFINE_STAGE = 3
"""Enabled cycles from ``x`` to the cycle in which ``gamma`` of the same channel is read."""

SCALE_HOLD = 3
"""Enabled cycles after ``load`` during which ``scale`` must still hold."""


class LaneApply(wiring.Component):
    """One lane: ``clamp(round_shift(((x*multiplier >> shift) - offset)*gamma + (beta << beta_shift), out_shift))``.

    *Latency* 7 enabled cycles from ``x`` to ``code``, *interval* 1. There is no handshake: every register advances
    with ``en``.

    The constants of a new row arrive with its first element: ``load`` is 1 in the cycle before that of its first
    ``x``, and ``scale`` must hold for that and the next :data:`SCALE_HOLD` enabled cycles.

    Parameters
    ----------
    spec : LayerNormSpec
    fabric : str
        What multipliers are built of.

    Members
    -------
    en, load : 1, in
    scale : ``lane_scale_layout``, in
    x : signed(in_bits), in
    gamma : signed(gamma_bits), in
        Read :data:`AFFINE_STAGE` enabled cycles after ``x``.
    beta : signed(beta_bits + 1), in
        Read 2 enabled cycles after ``gamma``, with half a code added; the lanes share the adder and registers.
    code : unsigned(out_bits), out
    """

    latency = 7

    def __init__(self, spec: LayerNormSpec, *, fabric: str = "generic"):
        self.spec = spec
        self.fabric = fabric
        super().__init__({
            "en": In(1), "load": In(1), "scale": In(lane_scale_layout(spec)), "x": In(signed(spec.in_bits)),
            "gamma": In(signed(spec.gamma_bits)), "beta": In(signed(spec.beta_bits + 1)),
            "code": Out(unsigned(spec.out_bits)),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec = self.spec
        first = Signal(3)
        multiplier = Signal(spec.multiplier_bits, reset_less=True)
        offset = Signal(signed(spec.y_bits), reset_less=True)
        position = Signal(2, reset_less=True)
        m.submodules.scale = scale = RegisteredProduct(
            signed(spec.in_bits), unsigned(spec.multiplier_bits), fabric=self.fabric)
        m.submodules.affine = affine = RegisteredProduct(
            signed(spec.y_bits), signed(spec.gamma_bits), fabric=self.fabric)
        # The difference fits although its operands need not: both are taken modulo 2**y_bits.
        product = select(m, (
            (position == index, scale.p >> index * spec.shift_step) for index in range(spec.shift_positions)
        ), signed(spec.y_bits), name="product", en=self.en, fabric=self.fabric)
        y = (product - offset)[:spec.y_bits].as_signed()
        m.d.comb += [
            scale.en.eq(self.en), scale.a.eq(self.x), scale.b.eq(multiplier),
            affine.en.eq(self.en), affine.a.eq(y), affine.b.eq(self.gamma),
        ]
        scaled = affine.p >> spec.beta_shift
        biased = Signal(max(len(scaled), len(self.beta)) + 1)
        code = biased[spec.beta_fraction:]
        negative, above = code[-1], code[spec.out_bits:-1].any()
        with m.If(self.en):
            # Each constant changes in the cycle before the first element of the row gets to its stage.
            m.d.sync += first.eq(Cat(self.load, first))
            with m.If(self.load):
                m.d.sync += multiplier.eq(self.scale.multiplier)
            with m.If(first[1]):
                m.d.sync += position.eq(self.scale.position)
            with m.If(first[2]):
                m.d.sync += offset.eq(self.scale.offset)
            m.d.sync += [
                biased.eq(scaled + self.beta),
                self.code.eq(Mux(negative, 0, code[:spec.out_bits] | above.replicate(spec.out_bits))),
            ]
        return m
