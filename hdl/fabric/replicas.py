"""Copies of a register that stay apart."""

from amaranth.hdl import ClockSignal, Const, Instance, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.check import check_choice, check_int

from . import FABRICS

__all__ = ["Replicas"]


class Replicas(wiring.Component):
    """Registers that all hold the same bits, so that each drives only a part of what needs them.

    Synthesizers merge equal registers; those of ECP5 are explicit cells, which stay. They are reset to 0.

    *Latency* 1 cycle.

    Parameters
    ----------
    copies : int
        How many registers, 1 to 4096.
    fabric : {"generic", "ecp5", "ice40", "gowin"}
        What to build from: TRELLIS_FF cells for ECP5; otherwise plain registers, which may be merged.
    width : int
        Bits of a register, 1 to 4096.
    enable : bool
        The registers keep their value while ``en`` is low; otherwise they have no ``en``.
    reset_less : bool
        The registers are not reset.

    Members
    -------
    d : In, ``width``
    en : In, 1, if ``enable``
    q : Out, ``width`` bits per copy
    """

    def __init__(self, copies: int, *, width: int = 1, fabric: str = "generic", enable: bool = False,
                 reset_less: bool = False):
        check_int("copies", copies, 1, 4096)
        check_int("width", width, 1, 4096)
        check_choice("fabric", fabric, FABRICS)
        self.copies = copies
        self.fabric = fabric
        self.enable = enable
        self.reset_less = reset_less
        super().__init__({"d": In(width), "q": Out(width * copies)} | ({"en": In(1)} if enable else {}))

    def elaborate(self, platform):
        """Build the registers."""
        m = Module()
        en = self.en if self.enable else Const(1)
        if self.fabric != "ecp5":
            q = Signal.like(self.q, reset_less=self.reset_less)
            with m.If(en):
                m.d.sync += q.eq(self.d.replicate(self.copies))
            m.d.comb += self.q.eq(q)
            return m
        reset = Const(0, 1) if self.reset_less else ResetSignal(allow_reset_less=True)
        for n, q in enumerate(self.q):
            m.submodules[f"copy_{n}"] = Instance(
                "TRELLIS_FF", a_keep=1, p_GSR="DISABLED", p_CEMUX="CE" if self.enable else "1", p_CLKMUX="CLK",
                p_LSRMUX="LSR", p_REGSET="RESET", p_SRMODE="LSR_OVER_CE",
                i_CLK=ClockSignal(), i_LSR=reset, i_CE=en, i_DI=self.d[n % len(self.d)], o_Q=q,
            )
        return m
