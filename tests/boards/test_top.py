# amaranth: UnusedElaboratable=no
from vitric.boards.registry import find_board
from vitric.boards.system import System
from vitric.golden.spec.accelerator import SPECS


def test_build_plan_of_a_board():
    """The pins and cells that the tools will get; nothing is run."""
    made = []

    def system(clock_hz):
        made.append(System(SPECS["tiny"], init=[1, 2, 3], capacity=8, divisor=50, clock_hz=clock_hz, fabric="ecp5"))
        return made[-1]

    board = find_board("ulx3s_12f")
    top, pll = board.make_top(system, 50)
    assert top.system is made[0] and pll.output_hz == 50_000_000
    plan = board.make_platform().prepare(top, name="top")
    pins = plan.files["top.lpf"]
    for port, pin in (("clk25_0__io", "G2"), ("uart_0__rx__io", "M1"), ("uart_0__tx__io", "L4"), ("led_0__io", "B2"),
                      ("led_7__io", "H3")):
        assert f'LOCATE COMP "{port}[0]" SITE "{pin}"' in pins or f'LOCATE COMP "{port}" SITE "{pin}"' in pins
    assert "FREQUENCY PORT" in pins or "FREQUENCY NET" in pins
    netlist = plan.files["top.il"]
    for cell in ("\\EHXPLLL", "\\MULT18X18D", "\\CCU2C"):
        assert f"cell {cell} " in netlist
