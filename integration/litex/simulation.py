"""A SoC of LiteX with a VexRiscv, LiteDRAM and vitric, for simulation: made to be tried, not to be built on."""

from collections.abc import Callable
from pathlib import Path

from litedram.modules import MT48LC4M16
from litedram.phy.model import SDRAMPHYModel
from litex.build.generic_platform import Pins, Subsignal
from litex.build.sim import SimPlatform
from litex.gen import LiteXModule
from litex.soc.integration.soc_core import SoCCore
from migen import ClockDomain

from .accelerator import add_vitric

__all__ = ["SimulatedSoC", "write_verilog"]

_CLOCK_HZ = 100_000_000
_PINS = [
    ("sys_clk", 0, Pins(1)), ("sys_rst", 0, Pins(1)),
    ("serial", 0, *(Subsignal(f"{end}_{name}", Pins(8 if name == "data" else 1))
                    for end in ("source", "sink") for name in ("valid", "ready", "data"))),
]


class _Clock(LiteXModule):
    def __init__(self, platform):
        self.cd_sys = ClockDomain()
        self.comb += [self.cd_sys.clk.eq(platform.request("sys_clk")), self.cd_sys.rst.eq(platform.request("sys_rst"))]


class SimulatedSoC(SoCCore):
    """VexRiscv, 64 KiB of ROM, 8 MiB of SDRAM, a UART whose bytes are at the pins, and the accelerator.

    Parameters
    ----------
    sidecar : path
        As of :class:`~vitric.integration.litex.accelerator.Vitric`.

    Notes
    -----
    Pins: ``sys_clk``, ``sys_rst``, ``serial_source_valid``, ``_data`` (from the UART) and ``_ready``,
    ``serial_sink_…`` (to it).
    """

    def __init__(self, sidecar: Path):
        platform = SimPlatform("SIM", list(_PINS))
        self.crg = _Clock(platform)
        super().__init__(
            platform, clk_freq=_CLOCK_HZ, cpu_type="vexriscv", cpu_variant="standard", uart_name="sim",
            integrated_rom_size=0x10000, integrated_sram_size=0x2000, with_timer=False, ident="")
        module = MT48LC4M16(_CLOCK_HZ, "1:1")
        self.sdrphy = SDRAMPHYModel(module=module, data_width=16, clk_freq=_CLOCK_HZ)
        self.add_sdram("sdram", phy=self.sdrphy, module=module, l2_cache_size=0)
        add_vitric(self, sidecar)


def write_verilog(soc: SimulatedSoC, folder: Path, program: Callable[[SimulatedSoC, Path], list[int]]) -> list[Path]:
    """Write a SoC as Verilog, the module ``soc``, with what lies in its memories beside it; return all sources.

    Parameters
    ----------
    soc : SimulatedSoC
    folder : Path
    program : function (soc, folder)
        Returns the words of the ROM, when the SoC is finalized.
    """
    soc.finalize()
    soc.init_rom("rom", program(soc, folder))
    output = soc.platform.get_verilog(soc, name="soc")
    output.write(str(folder / "soc.v"))
    return [folder / "soc.v", *(Path(source) for source, _, _ in soc.platform.sources)]
