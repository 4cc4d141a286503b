import pytest
import torch
from amaranth.hdl import Module, Shape, Signal, Value, signed, unsigned
from amaranth.sim import Simulator
from vitric.golden import arith
from vitric.hdl.fixed import assign, leading_one, overflows, round_shift, saturate


def evaluate(shape, function):
    """Return (input, output) for every input of ``shape``, and the shape of the result."""
    shape = Shape.cast(shape)
    x = Signal(shape)
    result = Value.cast(function(x))
    y = Signal(result.shape())
    m = Module()
    m.d.comb += y.eq(result)
    low = -(1 << shape.width - 1) if shape.signed else 0
    pairs = []

    async def bench(ctx):
        for value in range(low, low + (1 << shape.width)):
            ctx.set(x, value)
            pairs.append((value, ctx.get(y)))

    sim = Simulator(m)
    sim.add_testbench(bench)
    sim.run()
    return pairs, result.shape()


@pytest.mark.parametrize("shape", [signed(6), unsigned(6), signed(1), unsigned(1)])
@pytest.mark.parametrize("shift", range(9))
def test_round_shift_exhaustive(shape, shift):
    pairs, result = evaluate(shape, lambda x: round_shift(x, shift))
    x = torch.tensor([pair[0] for pair in pairs])
    assert [pair[1] for pair in pairs] == arith.round_shift(x, shift).tolist()
    assert result.signed == shape.signed
    if shift:
        assert result.width == max(shape.width - shift, shape.signed) + 1


@pytest.mark.parametrize("shape", [signed(6), unsigned(6)])
@pytest.mark.parametrize("low,high", [(-8, 7), (0, 15), (-3, 5), (-32, 31), (3, 9), (-20, -17), (0, 200), (-200, 100)])
def test_saturate_exhaustive(shape, low, high):
    pairs, result = evaluate(shape, lambda x: saturate(x, low, high))
    x = torch.tensor([pair[0] for pair in pairs])
    assert [pair[1] for pair in pairs] == arith.saturate(x, low, high).tolist()
    assert result == Shape.cast(range(low, high + 1))


@pytest.mark.parametrize("width", range(1, 11))
def test_leading_one_exhaustive(width):
    pairs, result = evaluate(unsigned(width), leading_one)
    assert all(y == max(x.bit_length() - 1, 0) for x, y in pairs)
    assert result.width == max((width - 1).bit_length(), 1)


@pytest.mark.parametrize("bits", range(1, 9))
def test_overflows_exhaustive(bits):
    pairs, _ = evaluate(signed(6), lambda x: overflows(x, bits))
    assert all(y == (not -(1 << bits - 1) <= x < 1 << bits - 1) for x, y in pairs)


@pytest.mark.parametrize("target,value,legal", [
    (signed(8), signed(8), True), (signed(8), signed(9), False), (signed(8), unsigned(7), True),
    (signed(8), unsigned(8), False), (unsigned(8), unsigned(8), True), (unsigned(8), unsigned(9), False),
    (unsigned(9), signed(8), False), (unsigned(9), unsigned(3), True),
])
def test_assign(target, value, legal):
    if legal:
        assign(Signal(target), Signal(value))
    else:
        with pytest.raises(ValueError, match="cannot hold a value of shape"):
            assign(Signal(target), Signal(value))


def test_rejected():
    with pytest.raises(ValueError, match="shift must be between 0"):
        round_shift(Signal(4), -1)
    with pytest.raises(TypeError, match="shift must be an integer"):
        round_shift(Signal(4), 1.5)
    with pytest.raises(ValueError, match="low must not be above high"):
        saturate(Signal(4), 3, 2)
    with pytest.raises(TypeError, match="value must be signed"):
        overflows(Signal(4), 2)
    with pytest.raises(ValueError, match="bits must be between"):
        overflows(Signal(signed(4)), 0)
