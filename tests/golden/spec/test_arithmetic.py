from dataclasses import replace

import pytest
from vitric.golden.spec.accelerator import SPECS, arithmetic_of
from vitric.golden.spec.arithmetic import Arithmetic
from vitric.golden.spec.command import MAX_PASSES


@pytest.mark.parametrize("values,message", [
    ({"a_bits": 1}, "a_bits must be between 2 and 8, not 1"), ({"w_bits": 9}, "w_bits must be between 2 and 8, not 9"),
    ({"acc_bits": 11}, "acc_bits must be between 12 and 32, not 11"),
    ({"residual_bits": 17}, "residual_bits must be between 10 and 16, not 17"),
])
def test_rejected(values, message):
    with pytest.raises(ValueError, match=message):
        Arithmetic(**values)
    with pytest.raises((ValueError, TypeError), match="residual_bits" if "residual_bits" in values else message):
        replace(SPECS["tiny"], **values)


def test_of_an_accelerator():
    for spec in SPECS.values():
        assert arithmetic_of(spec) == spec.arithmetic == arithmetic_of(spec.arithmetic) == arithmetic_of(None)
    wide = replace(SPECS["digits"], acc_bits=26, w_bits=8, a_bits=2)
    assert arithmetic_of(wide) == Arithmetic(acc_bits=26, w_bits=8, a_bits=2)
    with pytest.raises(TypeError, match="spec must be an AcceleratorSpec, an Arithmetic or None, not int"):
        arithmetic_of(4)


def test_units_are_those_of_the_accelerator():
    spec = replace(SPECS["digits"], acc_bits=22)
    arithmetic = spec.arithmetic
    assert arithmetic.requantize(spec.rows) == spec.requantize and arithmetic.requantize().narrow_shift == 4
    assert arithmetic.softmax(17).canonical == spec.softmax.canonical
    assert arithmetic.layernorm(48).canonical == spec.layernorm.canonical
    assert arithmetic.table(spec.rows * spec.drain_cols) == spec.gelu


def test_planes_by_hand():
    narrow = Arithmetic(a_bits=3, w_bits=2)
    assert [narrow.a_planes(bits) for bits in range(2, 9)] == [1, 1, 2, 2, 2, 3, 3]
    assert [narrow.w_planes(bits) for bits in range(1, 5)] == [1, 1, 2, 2]
    assert narrow.signed_bits_max == 4 and Arithmetic().signed_bits_max == 8
    assert narrow.shifts == (0, 1, 2, 3) and Arithmetic().shifts == (0, 4)


@pytest.mark.parametrize("a_port", range(2, 9))
@pytest.mark.parametrize("w_port", range(2, 9))
def test_what_is_refused_has_too_many_passes_or_digits(a_port, w_port):
    arithmetic = Arithmetic(a_bits=a_port, w_bits=w_port)
    for a_bits in range(2, 9):
        for w_bits in range(1, 9):
            passes = -(-a_bits // a_port) * (1 if w_bits <= w_port else 2)
            if passes <= MAX_PASSES and w_bits <= 2 * w_port:
                arithmetic.check_product("layer", a_bits, w_bits)
                continue
            with pytest.raises(ValueError, match="layer: ") as caught:
                arithmetic.check_product("layer", a_bits, w_bits)
            if "use a_bits at most " in str(caught.value):
                legal = int(str(caught.value).split("use a_bits at most ")[1].split()[0])
                arithmetic.check_product("layer", legal, w_bits)
