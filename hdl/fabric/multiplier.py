"""One hardware multiplier with its own registers switched on, and its twin of plain Amaranth."""

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Shape, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.check import check_choice, check_int

__all__ = ["OPERAND_BITS", "RegisteredProduct"]

OPERAND_BITS = {"generic": 18, "ecp5": 18, "ice40": 16, "gowin": 18}
"""Width of an operand of one multiplier: plain ``*``, or a MULT18X18D, SB_MAC16 or MULT18X18 cell."""


class RegisteredProduct(wiring.Component):
    """One product with a register on each operand and one on the result: ``p = a * b``, exact.

    This is the only place that knows how a multiplier is built. The synthesizer does not move registers into a
    multiplier, so the cells are explicit. The registers have no reset.

    *Latency* 2 enabled cycles, *interval* 1. There is no handshake: every register advances when ``en`` is 1.

    Parameters
    ----------
    a_shape, b_shape : shape-like
        Operands of 1 to ``OPERAND_BITS[mapping]`` bits each, signed or unsigned.
    mapping : {"generic", "ecp5", "ice40", "gowin"}
        What to build from. All but the first are an Instance and cannot be simulated by Amaranth.

    Members
    -------
    a, b : ``a_shape``, ``b_shape``, in
    en : 1, in
    p : width is the sum of the operand widths, signed if either operand is, out

    Raises
    ------
    ValueError
        ``mapping`` is not known, or an operand is too wide for it.
    """

    latency = 2
    interval = 1

    def __init__(self, a_shape, b_shape, *, mapping: str = "generic"):
        self.a_shape, self.b_shape = Shape.cast(a_shape), Shape.cast(b_shape)
        check_choice("mapping", mapping, tuple(OPERAND_BITS))
        check_int("width of a_shape", self.a_shape.width, 1, OPERAND_BITS[mapping])
        check_int("width of b_shape", self.b_shape.width, 1, OPERAND_BITS[mapping])
        self.mapping = mapping
        p_shape = Shape(self.a_shape.width + self.b_shape.width, signed=self.a_shape.signed or self.b_shape.signed)
        super().__init__({"a": In(self.a_shape), "b": In(self.b_shape), "en": In(1), "p": Out(p_shape)})

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        build = {"generic": self._generic, "ecp5": self._ecp5, "ice40": self._ice40, "gowin": self._gowin}
        build[self.mapping](m)
        return m

    def _generic(self, m):
        a, b = Signal(self.a_shape, reset_less=True), Signal(self.b_shape, reset_less=True)
        p = Signal(self.p.shape(), reset_less=True)
        with m.If(self.en):
            m.d.sync += [a.eq(self.a), b.eq(self.b), p.eq(a * b)]
        m.d.comb += self.p.eq(p)

    def _operands(self) -> tuple[Value, Value]:
        """Return the operands extended to the width of the cell's."""
        bits = OPERAND_BITS[self.mapping]

        def extended(value, signed):
            top = value[-1] if signed else Const(0, 1)
            return Cat(value[:len(value)], *[top] * (bits - len(value)))

        return extended(self.a, self.a_shape.signed), extended(self.b, self.b_shape.signed)

    def _ecp5(self, m):
        bits, zero = OPERAND_BITS["ecp5"], Const(0, 1)
        a, b = self._operands()
        ports = {f"i_A{k}": a[k] for k in range(bits)} | {f"i_B{k}": b[k] for k in range(bits)}
        ports |= {f"i_C{k}": zero for k in range(bits)}
        ports |= {f"o_P{k}": self.p[k] for k in range(len(self.p))}
        for register in "INPUTA", "INPUTB", "OUTPUT":
            ports |= {f"p_REG_{register}_CLK": "CLK0", f"p_REG_{register}_CE": "CE0", f"p_REG_{register}_RST": "RST0"}
        m.submodules.cell = Instance(
            "MULT18X18D", **ports, i_SIGNEDA=Const(self.a_shape.signed, 1), i_SIGNEDB=Const(self.b_shape.signed, 1),
            i_SOURCEA=zero, i_SOURCEB=zero, i_CLK0=ClockSignal(), i_CE0=self.en, i_RST0=zero,
        )

    def _ice40(self, m):
        a, b = self._operands()
        p = Signal(2 * OPERAND_BITS["ice40"])
        m.submodules.cell = Instance(
            "SB_MAC16", i_CLK=ClockSignal(), i_CE=self.en, i_A=a, i_B=b, o_O=p,
            p_A_SIGNED=Const(self.a_shape.signed, 1), p_B_SIGNED=Const(self.b_shape.signed, 1),
            # registers of both operands and of the 32-bit product, which the outputs show (selection 3)
            p_A_REG=Const(1, 1), p_B_REG=Const(1, 1), p_PIPELINE_16x16_MULT_REG2=Const(1, 1),
            p_TOPOUTPUT_SELECT=Const(3, 2), p_BOTOUTPUT_SELECT=Const(3, 2),
            **{f"i_{port}": Const(0, 16) for port in "CD"},
            **{f"i_{port}": Const(0, 1) for port in (
                "AHOLD", "BHOLD", "CHOLD", "DHOLD", "IRSTTOP", "IRSTBOT", "ORSTTOP", "ORSTBOT", "OLOADTOP", "OLOADBOT",
                "ADDSUBTOP", "ADDSUBBOT", "OHOLDTOP", "OHOLDBOT", "CI", "ACCUMCI", "SIGNEXTIN")},
        )
        m.d.comb += self.p.eq(p)

    def _gowin(self, m):
        bits = OPERAND_BITS["gowin"]
        a, b = self._operands()
        p = Signal(2 * bits)
        m.submodules.cell = Instance(
            "MULT18X18", i_CLK=ClockSignal(), i_CE=self.en, i_RESET=Const(0, 1), i_A=a, i_B=b, o_DOUT=p,
            i_ASIGN=Const(self.a_shape.signed, 1), i_BSIGN=Const(self.b_shape.signed, 1),
            i_SIA=Const(0, bits), i_SIB=Const(0, bits), i_ASEL=Const(0, 1), i_BSEL=Const(0, 1),
            p_AREG=Const(1, 1), p_BREG=Const(1, 1), p_OUT_REG=Const(1, 1),
        )
        m.d.comb += self.p.eq(p)
