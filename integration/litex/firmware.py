"""Bare-metal programs for a SoC of LiteX: headers, compiler (zig, from the package registry), memory contents."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from litedram.init import get_sdram_phy_c_header
from litex.soc.integration.common import get_mem_data
from litex.soc.integration.export import get_csr_header, get_mem_header, get_soc_header
from vitric.golden.errors import ToolFailure
from vitric.golden.files import write_text
from vitric.toolchain import processes

__all__ = ["DRIVER", "c_array", "compile_program", "write_headers"]

DRIVER = Path(__file__).with_name("driver")
"""Folder of the driver, of the program that tries it, and of what that needs to begin."""

_SCRIPT = """\
/* Code and constants in ROM, the stack at the end of SRAM, no variables outside of functions. */
ENTRY(_start)
SECTIONS
{{
  _stack = {stack};
  . = {rom};
  .text : {{ *(.start) *(.text .text.*) *(.rodata .rodata.* .srodata .srodata.*) . = ALIGN(4); }}
  .data : {{ *(.data .data.* .sdata .sdata.* .bss .bss.* .sbss .sbss.* COMMON) }}
  ASSERT(SIZEOF(.data) == 0, "a program in ROM must not have variables outside of functions")
  /DISCARD/ : {{ *(.comment) *(.eh_frame*) *(.note*) *(.riscv.attributes) }}
}}
"""


def c_array(name: str, data: bytes) -> str:
    """Return bytes as a constant array of 32-bit words in C, lowest byte first, and their number ``NAME_bytes``."""
    words = [int.from_bytes(data[at:at + 4], "little") for at in range(0, len(data), 4)]
    lines = ["\t" + ", ".join(f"0x{word:08x}" for word in words[at:at + 8]) + "," for at in range(0, len(words), 8)]
    return "\n".join([f"static const uint32_t {name}[] = {{", *lines, "};",
                      f"static const uint32_t {name}_bytes = {len(data)};", ""])


def write_headers(soc, folder: Path) -> None:
    """Write ``csr.h``, ``mem.h``, ``soc.h`` and ``sdram_phy.h`` of a finalized SoC to ``folder/generated``."""
    sdram = soc.sdram.controller.settings
    headers = {
        "csr.h": get_csr_header(soc.csr_regions, soc.constants, csr_base=soc.mem_regions["csr"].origin),
        "mem.h": get_mem_header(soc.mem_regions), "soc.h": get_soc_header(soc.constants),
        "sdram_phy.h": get_sdram_phy_c_header(sdram.phy, sdram.timing, sdram.geom),
    }
    for name, text in headers.items():
        write_text(folder / "generated" / name, text)
    for name in ("system.h", "hw/common.h"):  # of LiteX's libraries, which the generated headers include
        write_text(folder / name, '#include "access.h"\n')


def compile_program(soc, sources: Sequence[Path], folder: Path, *, files: Mapping[str, str]) -> list[int]:
    """Compile a program for the ROM of a SoC and return the ROM's words.

    Parameters
    ----------
    soc : litex SoC
        Finalized, with regions ``rom`` and ``sram``, and a 32-bit RISC-V with multiplication.
    sources : sequence of Path
        Of C.
    folder : Path
        For headers and results.
    files : mapping of str to str
        Further headers, by name.

    Raises
    ------
    ToolFailure
        The compiler has found a mistake.
    """
    write_headers(soc, folder)
    for name, text in files.items():
        write_text(folder / name, text)
    sram = soc.mem_regions["sram"]
    script = _SCRIPT.format(rom=soc.mem_regions["rom"].origin, stack=sram.origin + sram.size)
    write_text(folder / "program.ld", script)
    linked, program, log = folder / "program.elf", folder / "program.bin", folder / "program.log"
    command = [
        sys.executable, "-m", "ziglang", "cc", "-target", "riscv32-freestanding-none", "-mcpu=generic_rv32+m", "-Os",
        "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-nostdlib", "-fno-sanitize=undefined",
        f"-I{folder}", f"-I{DRIVER}", "-include", str(DRIVER / "access.h"), f"-Wl,-T,{folder / 'program.ld'}",
        "-o", str(linked), *map(str, sources),
    ]
    for words in (command, [*command[:3], "objcopy", "-O", "binary", str(linked), str(program)]):
        if processes.run(words, folder, log=log):
            raise ToolFailure("the program for the SoC does not compile", log, processes.last_lines(log, 8))
    return get_mem_data(str(program), data_width=32, endianness="little")
