"""Copies of a register that stay apart."""

from amaranth.hdl import ClockSignal, Const, Instance, Module, ResetSignal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.check import check_choice, check_int

from .carry import FABRICS

__all__ = ["Replicas"]


class Replicas(wiring.Component):
    """Registers that all hold the same bit, so that each drives only a part of what needs it.

    Synthesizers merge equal registers; those of ECP5 are explicit cells, which stay. They are reset to 0.

    *Latency* 1 cycle.

    Parameters
    ----------
    copies : int
        How many registers, 1 to 4096.
    fabric : {"generic", "ecp5", "ice40", "gowin"}
        What to build from: TRELLIS_FF cells for ECP5; otherwise plain registers, which may be merged.
    enable : bool
        The registers keep their value while ``en`` is low; otherwise they have no ``en``.

    Members
    -------
    d : In, 1
    en : In, 1, if ``enable``
    q : Out, one bit per copy
    """

    def __init__(self, copies: int, *, fabric: str = "generic", enable: bool = False):
        check_int("copies", copies, 1, 4096)
        check_choice("fabric", fabric, FABRICS)
        self.copies = copies
        self.fabric = fabric
        self.enable = enable
        super().__init__({"d": In(1), "q": Out(copies)} | ({"en": In(1)} if enable else {}))

    def elaborate(self, platform):
        """Build the registers."""
        m = Module()
        en = self.en if self.enable else Const(1)
        if self.fabric != "ecp5":
            with m.If(en):
                m.d.sync += self.q.eq(self.d.replicate(self.copies))
            return m
        for n in range(self.copies):
            m.submodules[f"copy_{n}"] = Instance(
                "TRELLIS_FF", a_keep=1, p_GSR="DISABLED", p_CEMUX="CE" if self.enable else "1", p_CLKMUX="CLK",
                p_LSRMUX="LSR", p_REGSET="RESET", p_SRMODE="LSR_OVER_CE",
                i_CLK=ClockSignal(), i_LSR=ResetSignal(), i_CE=en, i_DI=self.d, o_Q=self.q[n],
            )
        return m
