# amaranth: UnusedElaboratable=no
import re
from dataclasses import replace

import pytest
from vitric.boards.registry import BOARDS, find_board
from vitric.boards.system import System
from vitric.golden.spec.accelerator import SPECS
from vitric.toolchain.families import ECP5


@pytest.mark.parametrize(("name", "clock_mhz", "places"), [
    ("ulx3s_12f", 50, {"clk25_0__io": "G2", "uart_0__rx__io": "M1", "uart_0__tx__io": "L4", "led_0__io": "B2",
                       "led_7__io": "H3"}),
    ("orangecrab", 48, {"clk_0__io": "A9", "uart_0__rx__io": "N17", "uart_0__tx__io": "M18", "led_2__io": "J3"}),
])
def test_build_plan_of_a_board(name, clock_mhz, places):
    """The pins and cells that the tools will get; nothing is run."""
    made = []

    def system(clock_hz):
        made.append(System(SPECS["tiny"], init=[1, 2, 3], capacity=8, divisor=50, clock_hz=clock_hz, fabric="ecp5"))
        return made[-1]

    board = find_board(name)
    top = board.make_top(system, clock_mhz)
    assert top.system is made[0] and top.pll.output_hz == clock_mhz * 1_000_000
    plan = board.make_platform().prepare(top, name="top")
    pins = plan.files["top.lpf"]
    for port, pin in places.items():
        assert f'LOCATE COMP "{port}[0]" SITE "{pin}"' in pins or f'LOCATE COMP "{port}" SITE "{pin}"' in pins
    assert "FREQUENCY PORT" in pins or "FREQUENCY NET" in pins
    netlist = plan.files["top.il"]
    for cell in ("\\EHXPLLL", "\\MULT18X18D", "\\CCU2C"):
        assert f"cell {cell} " in netlist


PINS = {
    "ulx3s": (
        (("clk", "F19"), ("a__io[12]", "G19"), ("dq__io[15]", "J17"), ("cs", "P20")),
        (("cs", "R2"), ("copi", "W2"), ("cipo", "V2"), ("hold", "W1"), ("wp", "Y2"))),
    "icepi": (
        (("clk", "A3"), ("a__io[12]", "A4"), ("dq__io[15]", "B1"), ("cs", "B12")),
        (("cs", "N8"), ("copi", "T8"), ("cipo", "T7"), ("hold", "N7"), ("wp", "M7"))),
    "icesugar": (
        (("clk", "R15"), ("a__io[12]", "T14"), ("dq__io[15]", "L15"), ("cs", "A14")),
        (("cs", "N8"), ("copi", "T8"), ("cipo", "T7"), ("hold", "N7"), ("wp", "M7"))),
    "colorlight": ((("clk", "B9"), ("a__io[10]", "B12"), ("dq__io[15]", "B5"), ("we", "A10")), ()),
}
REGISTERS = {"colorlight": 3 + 2 + 11 + 16}  # of pins of the chip: commands, banks, addresses, masks, words


@pytest.mark.parametrize("name", [name for name, board in BOARDS.items() if board.sdram and board.part.family is ECP5])
def test_build_plan_with_an_sdram(name):
    board = find_board(name)
    sdram = board.sdram_spec(32)
    assert (sdram.burst, sdram.line_bits, sdram.clock_hz) == (2, 32, board.sdram_mhz * 1e6)
    top = board.make_top(lambda clock_hz: System(
        SPECS["tiny"], init=(), capacity=sdram.lines // 4, divisor=50, clock_hz=clock_hz, fabric="ecp5", sdram=sdram,
        flash=board.flash_spec(clock_hz)), 50)
    plan = board.make_platform().prepare(top, name="top")
    pins, netlist = plan.files["top.lpf"], plan.files["top.il"]
    sdram_pins, flash_pins = PINS[name.partition("_")[0]]
    for port, pin in sdram_pins:
        assert any(f'LOCATE COMP "sdram_0__{port}{end}" SITE "{pin}"' in pins for end in ("", "__io", "__io[0]"))
    for cell, count in (("\\EHXPLLL", 2), ("\\ODDRX1F", 1), ("\\IFS1P3DX", 16)):
        assert netlist.count(f"cell {cell} ") == count, cell
    for port, pin in flash_pins:  # and no clock
        assert f'LOCATE COMP "spi_flash_0__{port}__io" SITE "{pin}"' in pins
    assert netlist.count("cell \\USRMCLK ") == bool(flash_pins)
    for domain in ("sync", "sdram"):
        assert f"module \\top.reset_{domain}\n" in netlist
    # a register for each pin of the chip and for its enable, and for the enable of the clock
    registers = REGISTERS.get(name.partition("_")[0], 5 + 2 + 13 + 2 + 16)
    assert netlist.count("cell \\OFS1P3DX ") == 2 * registers + 1


GOWIN_PINS = {
    "tang_nano_9k": {"clk27_0__io": "52", "uart_0__rx__io": "18", "uart_0__tx__io": "17", "led_0__io": "10",
                     "led_5__io": "16"},
    "tang_nano_20k": {"clk27_0__io": "4", "uart_0__rx__io": "70", "uart_0__tx__io": "69", "led_0__io": "15",
                      "led_5__io": "20"},
}


@pytest.mark.parametrize("name", GOWIN_PINS)
def test_build_plan_of_a_gowin_board(name):
    board = find_board(name)
    top = board.make_top(lambda clock_hz: System(
        SPECS["tiny"], init=[1, 2, 3], capacity=8, divisor=27, clock_hz=clock_hz, fabric="gowin"), 40.5)
    assert top.clocks == "create_clock -name pll -period 24.6914 [get_pins {pll/CLKOUT}]\n"
    plan = board.make_platform().prepare(top, name="top")
    for port, pin in GOWIN_PINS[name].items():
        assert f'IO_LOC "{port}" {pin};' in plan.files["top.cst"]
    for cell in ("rPLL", "MULT18X18"):
        assert f"cell \\{cell} " in plan.files["top.il"]


def test_build_plan_with_the_sdram_in_the_package():
    """Its pins are named by their places, in the order of Apicula's database: column 0 is the left side."""
    board = find_board("tang_nano_20k")
    sdram = board.sdram_spec(32)
    assert (sdram.row_bits, sdram.column_bits, sdram.clock_hz) == (11, 8, 81_000_000)
    top = board.make_top(lambda clock_hz: System(
        SPECS["tiny"], init=(), capacity=sdram.lines // 4, divisor=54, clock_hz=clock_hz, fabric="gowin",
        sdram=sdram), 54)
    assert "-name pll -period 18.5185 [get_pins {pll/CLKOUT}]" in top.clocks
    assert "-name sdram_pll -period 12.3457 [get_pins {sdram_pll/CLKOUT}]" in top.clocks
    plan = board.make_platform().prepare(top, name="top")
    pins = {"clk__io": "IOR11B", "clk_en__io": "IOL13A", "cs__io": "IOL14B", "a__io[10]": "IOR12B",
            "ba__io[0]": "IOR13A", "dq__io[0]": "IOL3A", "dq__io[15]": "IOR3A", "dqm__io[1]": "IOR11A"}
    for port, pin in pins.items():
        assert f'IO_LOC "sdram_0__{port}" {pin};' in plan.files["top.cst"]
    netlist = plan.files["top.il"]
    for cell, count in (("rPLL", 2), ("ODDR", 1), ("IOBUF", 16)):
        assert netlist.count(f"cell \\{cell} ") == count, cell
    shifted = re.search(r"PSDA_SEL \"(\d+)\"", netlist.partition("sdram_pll")[2])
    margins = board.pin_timing.margins(sdram.clock_hz, int(shifted[1], 2) * 22.5)
    assert margins.least > 1


def test_a_board_without_an_sdram():
    with pytest.raises(ValueError, match="ULX3S with LFE5U-12F has no SDRAM"):
        replace(find_board("ulx3s_12f"), sdram=None).sdram_spec(64)
