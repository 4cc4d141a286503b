"""One hardware multiplier with its registers."""

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Shape, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.check import check_choice, check_int
from vitric.golden.spec.requantize import OPERAND_BITS

from ..pipeline import delay
from . import FABRICS
from .excess import excess_product, low_part

__all__ = ["RegisteredProduct"]

_MAC16_BITS = 16
"""Operand width of an SB_MAC16."""

_MAC16_UNUSED = {"C": 16, "D": 16} | dict.fromkeys(
    ("AHOLD", "BHOLD", "CHOLD", "DHOLD", "IRSTTOP", "IRSTBOT", "ORSTTOP", "ORSTBOT", "OLOADTOP", "OLOADBOT",
     "ADDSUBTOP", "ADDSUBBOT", "OHOLDTOP", "OHOLDBOT", "CI", "ACCUMCI", "SIGNEXTIN"), 1)
"""Inputs of an SB_MAC16 that are 0 here, with their widths."""


def _product_shape(a: Shape, b: Shape) -> Shape:
    return Shape(a.width + b.width, signed=a.signed or b.signed)


class RegisteredProduct(wiring.Component):
    """One product with a register on each operand and one on the result: ``p = a * b``, exact.

    This is the only place that knows how a multiplier is built; a further fabric is added here.

    *Latency* 2 enabled cycles, *interval* 1. There is no handshake: every register advances when ``en`` is 1.

    Parameters
    ----------
    a_shape, b_shape : shape-like
        Operands of 1 to 18 bits each, signed or unsigned.
    fabric : {"generic", "ecp5", "ice40", "gowin"}
        ``generic`` is plain ``*`` between registers; ``ecp5`` is a MULT18X18D with its own registers switched on,
        ``ice40`` an SB_MAC16 likewise, with logic for the operand bits beyond 16, and ``gowin`` a MULT9X9, which is
        half a multiplier, if both operands have at most 9 bits, else a MULT18X18.

    Members
    -------
    a, b : ``a_shape``, ``b_shape``, in
    en : 1, in
    p : width is the sum of the operand widths, signed if either operand is, out
    """

    latency = 2
    interval = 1

    def __init__(self, a_shape, b_shape, *, fabric: str = "generic"):
        self.a_shape, self.b_shape = Shape.cast(a_shape), Shape.cast(b_shape)
        check_int("width of a_shape", self.a_shape.width, 1, OPERAND_BITS)
        check_int("width of b_shape", self.b_shape.width, 1, OPERAND_BITS)
        check_choice("fabric", fabric, FABRICS)
        self.fabric = fabric
        super().__init__({
            "a": In(self.a_shape), "b": In(self.b_shape), "en": In(1),
            "p": Out(_product_shape(self.a_shape, self.b_shape)),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        if self.fabric == "generic":
            a = delay(m, self.a, self.en, 1, name="a")
            b = delay(m, self.b, self.en, 1, name="b")
            m.d.comb += self.p.eq(delay(m, a * b, self.en, 1, name="p"))
        elif self.fabric == "ecp5":
            m.submodules.multiplier = self._mult18x18d()
        elif self.fabric == "gowin":
            m.submodules.multiplier = self._gowin()
        else:
            self._sb_mac16(m)
        return m

    def _mult18x18d(self) -> Instance:
        padding = Const(0, 1)
        bits = range(OPERAND_BITS)
        a = [self.a[k] if k < len(self.a) else self.a[-1] if self.a_shape.signed else padding for k in bits]
        b = [self.b[k] if k < len(self.b) else self.b[-1] if self.b_shape.signed else padding for k in bits]
        ports = {f"i_A{k}": bit for k, bit in enumerate(a)} | {f"i_B{k}": bit for k, bit in enumerate(b)}
        ports |= {f"i_C{k}": padding for k in bits}
        ports |= {f"o_P{k}": self.p[k] for k in range(len(self.p))}
        for register in ("INPUTA", "INPUTB", "OUTPUT"):
            ports |= {f"p_REG_{register}_CLK": "CLK0", f"p_REG_{register}_CE": "CE0", f"p_REG_{register}_RST": "RST0"}
        return Instance(
            "MULT18X18D", **ports,
            i_SIGNEDA=Const(self.a_shape.signed, 1), i_SIGNEDB=Const(self.b_shape.signed, 1),
            i_SOURCEA=padding, i_SOURCEB=padding, i_CLK0=ClockSignal(), i_CE0=self.en, i_RST0=padding,
        )

    def _gowin(self) -> Instance:
        bits = 9 if max(len(self.a), len(self.b)) <= 9 else OPERAND_BITS
        padding, unused = Const(0, bits), Signal(2 * bits - len(self.p))
        return Instance(
            f"MULT{bits}X{bits}", p_AREG=Const(1, 1), p_BREG=Const(1, 1), p_OUT_REG=Const(1, 1),
            i_CLK=ClockSignal(), i_CE=self.en, i_RESET=padding[0], i_ASEL=padding[0], i_BSEL=padding[0],
            i_SIA=padding, i_SIB=padding, i_A=_extended(self.a, bits), i_B=_extended(self.b, bits),
            i_ASIGN=Const(self.a_shape.signed, 1), i_BSIGN=Const(self.b_shape.signed, 1),
            o_DOUT=Cat(self.p, unused),
        )

    def _sb_mac16(self, m: Module) -> None:
        low_a, low_b = low_part(self.a, _MAC16_BITS), low_part(self.b, _MAC16_BITS)
        low = Signal(Shape(2 * _MAC16_BITS, signed=low_a.shape().signed or low_b.shape().signed))
        unused = {f"i_{port}": Const(0, bits) for port, bits in _MAC16_UNUSED.items()}
        m.submodules.multiplier = Instance(
            "SB_MAC16", p_A_REG=Const(1, 1), p_B_REG=Const(1, 1), p_PIPELINE_16x16_MULT_REG2=Const(1, 1),
            p_TOPOUTPUT_SELECT=Const(3, 2), p_BOTOUTPUT_SELECT=Const(3, 2),
            p_A_SIGNED=Const(low_a.shape().signed, 1), p_B_SIGNED=Const(low_b.shape().signed, 1),
            i_CLK=ClockSignal(), i_CE=self.en, o_O=low, **unused,
            i_A=_extended(low_a, _MAC16_BITS), i_B=_extended(low_b, _MAC16_BITS),
        )
        excess = excess_product(m, self.a, self.b, self.en, _MAC16_BITS)
        m.d.comb += self.p.eq(low + (excess << _MAC16_BITS))


def _extended(value: Value, bits: int) -> Value:
    """Return ``value`` in ``bits`` bits, extended by its sign if it has one."""
    sign = value[-1] if value.shape().signed else Const(0, 1)
    return Cat(value, sign.replicate(bits - len(value)))
