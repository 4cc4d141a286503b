import pytest
from vitric.golden.errors import UserError
from vitric.toolchain.families import FAMILIES
from vitric.toolchain.parts import PARTS, find_part, over_capacity


@pytest.mark.parametrize("key", PARTS)
def test_parts(key):
    part = find_part(key)
    assert part.key == key and part.family in FAMILIES.values()
    named = [argument.removeprefix("cst=") for argument in part.family.unconstrained if argument.startswith("cst=")]
    assert set(named) <= set(part.files)


def test_unknown_device():
    with pytest.raises(UserError, match=f"--device must be one of {', '.join(PARTS)}, not 'virtex'"):
        find_part("virtex")


def test_capacity():
    part = PARTS["up5k"]
    full = {"lut_eq": 5280, "ff": 5280, "bram": 30, "dsp": 8}
    assert over_capacity(part, full) == []
    assert over_capacity(part, full | {"lut_eq": 5281, "bram": 31}) == ["5281 LUT4 of 5280", "31 block RAMs of 30"]
