# amaranth: UnusedElaboratable=no
"""Selections that cost nothing: in the carry cell of an adder, and by registers that are 0 unless chosen."""

import itertools

import pytest
from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator
from vitric.hdl.fabric import FABRICS
from vitric.hdl.fabric.select import select
from vitric.hdl.fabric.select_add import select_add

from tests.hdl.equivalence import prove_equal

SHAPES = signed(3), unsigned(2), signed(4)


class Adder(wiring.Component):
    """``select_add`` between ports."""

    def __init__(self, width, fabric):
        self.width, self.fabric = width, fabric
        addend, one, other = SHAPES
        super().__init__({"addend": In(addend), "which": In(1), "one": In(one), "other": In(other), "y": Out(width)})

    def elaborate(self, platform):
        m = Module()
        y = select_add(m, self.addend, self.which, self.one, self.other, self.width, name="sum", fabric=self.fabric)
        m.d.comb += self.y.eq(y)
        return m


def values(shape):
    low = -(1 << shape.width - 1) if shape.signed else 0
    return range(low, low + (1 << shape.width))


@pytest.mark.parametrize("width", [2, 4, 7])
def test_select_add(width):
    dut = Adder(width, "generic")

    async def bench(ctx):
        for addend, one, other, which in itertools.product(*map(values, SHAPES), (0, 1)):
            for port, value in zip((dut.addend, dut.one, dut.other, dut.which), (addend, one, other, which),
                                   strict=True):
                ctx.set(port, value)
            assert ctx.get(dut.y) == (addend + (one if which else other)) % (1 << width)

    sim = Simulator(dut)
    sim.add_testbench(bench)
    sim.run()


def proof(width, folder, spoil=lambda text: text):
    return prove_equal(Adder(width, "generic"), Adder(width, "ecp5"), folder, spoil)


@pytest.mark.parametrize("width", [2, 7])
def test_carry_cells_equal_the_plain_adder(width, tmp_path):
    done = proof(width, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_proof_can_fail(tmp_path):
    done = proof(7, tmp_path, lambda text: text.replace(".D1(", ".C9(", 1).replace(".C1(", ".D1(", 1).replace(
        ".C9(", ".C1(", 1))
    assert done.returncode != 0 and "proof did fail" in done.stdout + done.stderr


@pytest.mark.parametrize("fabric", FABRICS)
def test_select(fabric):
    m = Module()
    index, en = Signal(2), Signal()
    y = select(m, [(index == k, -k) for k in range(3)], signed(3), name="y", en=en, fabric=fabric)
    registers = [signal.name for signal, domains in m._driving.items() if "sync" in domains]
    assert registers == (["y"] if fabric in ("gowin", "ice40") else ["y_0", "y_1", "y_2"])

    async def bench(ctx):
        for enable, chosen, wanted in ((1, 1, -1), (0, 2, -1), (1, 2, -2), (1, 3, 0), (1, 0, 0), (1, 1, -1)):
            ctx.set(en, enable)
            ctx.set(index, chosen)
            await ctx.tick()
            assert ctx.get(y) == wanted

    sim = Simulator(m)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
