"""A SoC of LiteX for the ULX3S, with a VexRiscv, the board's SDRAM and vitric; built with our tools, not LiteX's."""

from collections.abc import Callable
from pathlib import Path

from litedram.modules import MT48LC16M16
from litedram.phy import GENSDRPHY
from litex.build.generic_platform import IOStandard, Misc, Pins, Subsignal
from litex.build.io import DDROutput
from litex.build.lattice import LatticeECP5Platform
from litex.gen import LiteXModule
from litex.soc.cores.clock import ECP5PLL
from litex.soc.integration.soc_core import SoCCore
from migen import ClockDomain, ClockSignal
from vitric.golden.files import write_text
from vitric.toolchain.families import ECP5
from vitric.toolchain.parts import PARTS
from vitric.toolchain.run import Steps, pack, place_and_route, run_script, synthesize

from .accelerator import add_vitric

__all__ = ["Ulx3sSoC", "build"]

_IO = IOStandard("LVCMOS33")
_PINS = [
    ("clk25", 0, Pins("G2"), _IO), ("rst", 0, Pins("R1"), _IO), ("wifi_gpio0", 0, Pins("L2"), _IO),
    ("serial", 0, Subsignal("tx", Pins("L4")), Subsignal("rx", Pins("M1")), _IO),
    ("sdram_clock", 0, Pins("F19"), _IO),
    ("sdram", 0,
     Subsignal("a", Pins("M20 M19 L20 L19 K20 K19 K18 J20 J19 H20 N19 G20 G19")), Subsignal("ba", Pins("P19 N20")),
     Subsignal("dq", Pins("J16 L18 M18 N18 P18 T18 T17 U20 E19 D20 D19 C20 E18 F18 J18 J17")),
     Subsignal("dm", Pins("U19 E20")), Subsignal("we_n", Pins("T20")), Subsignal("ras_n", Pins("R20")),
     Subsignal("cas_n", Pins("T19")), Subsignal("cs_n", Pins("P20")), Subsignal("cke", Pins("F20")),
     _IO, Misc("SLEWRATE=FAST")),
]


class _Clocks(LiteXModule):
    """The system's clock, and that of the SDRAM a quarter of a period later."""

    def __init__(self, platform, clock_hz: int):
        self.cd_sys, self.cd_sys_ps = ClockDomain("sys"), ClockDomain("sys_ps")
        self.pll = pll = ECP5PLL()
        self.comb += [pll.reset.eq(platform.request("rst")), platform.request("wifi_gpio0").eq(1)]
        pll.register_clkin(oscillator := platform.request("clk25"), 25e6)
        platform.add_period_constraint(oscillator, 40.0)
        pll.create_clkout(self.cd_sys, clock_hz)
        pll.create_clkout(self.cd_sys_ps, clock_hz, phase=90)
        self.specials += DDROutput(1, 0, platform.request("sdram_clock"), ClockSignal("sys_ps"))


class Ulx3sSoC(SoCCore):
    """VexRiscv, 64 KiB of ROM, the board's 32 MiB of SDRAM, a UART of 115,200 baud, and the accelerator.

    Parameters
    ----------
    sidecar : path
        As of :class:`~vitric.integration.litex.accelerator.Vitric`; of an accelerator for ``--fabric ecp5``.
    clock_hz : int
        Of everything.
    """

    def __init__(self, sidecar: Path, *, clock_hz: int = 40_000_000):
        platform = LatticeECP5Platform("LFE5U-85F-6BG381C", list(_PINS), toolchain="trellis")
        self.crg = _Clocks(platform, clock_hz)
        super().__init__(
            platform, clk_freq=clock_hz, cpu_type="vexriscv", cpu_variant="standard", uart_name="serial",
            integrated_rom_size=0x10000, integrated_sram_size=0x2000, with_timer=False, ident="")
        self.sdrphy = GENSDRPHY(platform.request("sdram"), clock_hz)
        self.add_sdram("sdram", phy=self.sdrphy, module=MT48LC16M16(clock_hz, "1:1"), l2_cache_size=0)
        add_vitric(self, sidecar)
        self.clock_hz = clock_hz


def build(soc: Ulx3sSoC, folder: Path, program: Callable[[Ulx3sSoC, Path], list[int]], steps: Steps, *,
          seed: int = 1) -> dict:
    """Make ``folder/top.bit`` of a SoC.

    Parameters
    ----------
    soc : Ulx3sSoC
    folder : Path
    program : function (soc, folder)
        Returns the words of the ROM, when the SoC is finalized.
    steps : Steps
    seed : int
        Of place and route.

    Returns
    -------
    dict
        What was synthesized, as of :meth:`~vitric.toolchain.families.Family.count`, and ``fmax_mhz`` by clock.

    Raises
    ------
    UserError, ToolFailure
        A tool is not there or failed.
    """
    with steps.step("generate"):
        soc.finalize()
        soc.init_rom("rom", program(soc, folder))
        soc.platform.build(soc, build_dir=str(folder), build_name="soc", run=False)
        script = []
        for number, (source, _, _) in enumerate(soc.platform.sources):
            write_text(folder / f"source{number}.v", Path(source).read_text(encoding="utf-8"))
            script.append(f"read_verilog source{number}.v")
        script += ["hierarchy -top soc", "rename soc top", "write_rtlil top.il", ""]
        write_text(folder / "read.ys", "\n".join(script))
        write_text(folder / ECP5.constraints, (folder / "soc.lpf").read_text(encoding="utf-8"))
        run_script(folder, "read")
    with steps.step("synthesize") as tell:
        cells = synthesize(ECP5, folder, "top", tell)
    with steps.step("place and route") as tell:
        arguments = [*PARTS["ecp5-85k"].arguments, *ECP5.constrained, "--seed", str(seed)]
        placed = place_and_route(ECP5, folder, arguments, tell, "top.json")
    with steps.step("pack"):
        pack(ECP5, folder)
    return {**cells, "fmax_mhz": {name: clock["achieved"] for name, clock in placed["fmax"].items()}}
