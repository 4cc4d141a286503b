# amaranth: UnusedElaboratable=no
import pytest
from amaranth.hdl import Module, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator
from vitric.hdl.accelerator.ports import join, read_port, ring_port, share_read, share_write, write_port


class Ends(wiring.Component):
    """The memory's side of a port, and two users."""

    def __init__(self, signature, share=None):
        self.share = share
        super().__init__({"memory": Out(signature), "first": In(signature), "second": In(signature)})

    def elaborate(self, platform):
        m = Module()
        self.share(m, self.memory, self.first, self.second)
        return m


def settle(dut, testbench):
    simulator = Simulator(dut)
    simulator.add_testbench(testbench)
    simulator.run()


@pytest.mark.parametrize("other", [read_port(unsigned(4), 3), read_port(signed(4), 4), write_port(signed(4), 3),
                                   ring_port(signed(4), 8)])
def test_only_the_two_sides_of_one_port_are_joined(other):
    port = read_port(signed(4), 3)
    user, memory = wiring.Component({"p": Out(port)}), wiring.Component({"p": In(port)})
    join(Module(), user.p, memory.p)
    with pytest.raises(ValueError, match="must be the other side of"):
        join(Module(), wiring.Component({"p": Out(other)}).p, memory.p)
    with pytest.raises(ValueError, match="must be the other side of"):
        join(Module(), user.p, user.p)


def test_the_first_reader_wins_and_both_see_the_data():
    dut = Ends(read_port(signed(4), 3), share_read)

    async def testbench(ctx):
        for first in (0, 1):
            for second in (0, 1):
                ctx.set(dut.first.en, first)
                ctx.set(dut.second.en, second)
                ctx.set(dut.first.address, 5)
                ctx.set(dut.second.address, 2)
                ctx.set(dut.memory.data, -3)
                assert ctx.get(dut.memory.en) == (first | second)
                assert ctx.get(dut.memory.address) == (5 if first else 2)
                assert ctx.get(dut.first.data) == ctx.get(dut.second.data) == -3

    settle(dut, testbench)


def test_the_first_writer_wins():
    dut = Ends(write_port(signed(4), 3), share_write)

    async def testbench(ctx):
        for first in (0, 1):
            for second in (0, 1):
                ctx.set(dut.first.en, first)
                ctx.set(dut.second.en, second)
                ctx.set(dut.first.address, 5)
                ctx.set(dut.second.address, 2)
                ctx.set(dut.first.data, -1)
                ctx.set(dut.second.data, 6)
                assert ctx.get(dut.memory.en) == (first | second)
                assert (ctx.get(dut.memory.address), ctx.get(dut.memory.data)) == ((5, -1) if first else (2, 6))

    settle(dut, testbench)
