# amaranth: UnusedElaboratable=no
import pytest
from vitric.flow.inputs.units import find_unit, parse_settings
from vitric.golden.errors import UserError
from vitric.golden.spec.softmax import KINDS
from vitric.hdl.units import UNITS


def test_settings_have_the_types_of_the_parameters():
    unit = find_unit("mac")
    settings = parse_settings(unit, ["a_bits=3", "acc_bits=30", "shifts=0,2,5", "mapping=generic", "a_bits=5"])
    assert settings == {"a_bits": 5, "acc_bits": 30, "shifts": (0, 2, 5), "mapping": "generic"}
    spec = unit.make_spec(settings)
    assert (spec.a_bits, spec.acc_bits, spec.shifts, spec.mapping, spec.rows) == (5, 30, (0, 2, 5), "generic", 4)
    assert unit.make_spec(parse_settings(unit, ["a_bits=6"])).shifts == (0, 6)
    assert unit.make_spec(parse_settings(unit, ["mapping=dsp"])).mapping == "dsp"


def test_parameters_of_the_component():
    unit = find_unit("requantize")
    settings = parse_settings(unit, ["tag_bits=3", "shifts=4"])
    assert unit.make(settings).tag_bits == 3 and unit.values(settings)["tag_bits"] == 3
    assert unit.make_spec(settings).shifts == (4,)


@pytest.mark.parametrize(("unit", "text", "message"), [
    ("softmax", "kind=log3", f"softmax: kind must be one of {', '.join(map(repr, KINDS))}, not 'log3'"),
    ("softmax", "lanes=many", "softmax: lanes must be an integer between 1 and 64, not 'many'"),
    ("layernorm", "in_bits=9", "layernorm: in_bits must be between 10 and 16, not 9"),
    ("gelu", "colour=3", "parameter of gelu must be one of lanes, index_bits, out_bits, tag_bits, not 'colour'"),
    ("gelu", "lanes", "--set must be name=value, not 'lanes'; the names are lanes, index_bits, out_bits, tag_bits"),
    ("mac", "shifts=0,x", "mac: shifts must be an integer between 0 and 23, not 'x'"),
])
def test_wrong_settings(unit, text, message):
    with pytest.raises(UserError) as caught:
        parse_settings(find_unit(unit), [text])
    assert str(caught.value) == message


def test_unknown_unit():
    with pytest.raises(UserError, match=f"unit must be one of {', '.join(UNITS)}, not 'tanh'"):
        find_unit("tanh")
