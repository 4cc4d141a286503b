# amaranth: UnusedElaboratable=no
from dataclasses import replace

import pytest
from amaranth.hdl import Module, Shape, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator
from vitric.hdl.accelerator.layouts import affine_group, residual_column
from vitric.hdl.accelerator.ports import (
    activation_read,
    activation_write,
    affine_write,
    join,
    read_port,
    residual_read,
    residual_write,
    ring_port,
    share_read,
    share_write,
    write_port,
)

from tests.hdl.accelerator.kit import SPECS, name


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


def fields(signature):
    return {key: Shape.cast(member.shape).width for key, member in signature.members.items()}


@pytest.mark.parametrize("depth", [2, 8, 64])
def test_places_in_a_ring(depth):
    """A place has one bit more than an address, so that a full ring is not an empty one."""
    port = fields(ring_port(signed(4), depth))
    assert port == {"filled": port["address"] + 1, "freed": port["filled"], "en": 1, "address": port["address"],
                    "data": 4}
    assert 1 << port["address"] == depth


@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_words_and_addresses(spec):
    """Words as wide as the docstrings say, addresses of commands in full: none wraps to a legal one."""
    word = spec.rows * spec.depth * spec.element_bits
    assert fields(activation_read(spec)) == {"en": 1, "address": 16, "data": word}
    assert fields(activation_write(spec)) == {
        "en": 1, "address": 16 + (spec.word_tiles - 1).bit_length(), "data": word // spec.word_tiles}
    columns = spec.drain_cols * Shape.cast(residual_column(spec)).width
    assert fields(residual_read(spec)) == fields(residual_write(spec)) == {"en": 1, "address": 16, "data": columns}


@pytest.mark.parametrize("channels", [2, 15, 16, 17])
def test_addresses_of_affine_constants(channels):
    """One for each group of constants that a model word brings; a memory has two words at least."""
    for spec in SPECS[:3]:
        spec = replace(spec, max_embed=channels)
        port, group = affine_write(spec), affine_group(spec).length
        assert group == max(1, spec.model_bits // 64)
        assert port.members["data"].shape == affine_group(spec)
        assert fields(port)["address"] == max(1, (-(-channels // group) - 1).bit_length())


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
