# amaranth: UnusedElaboratable=no
from dataclasses import fields
from importlib.util import find_spec

import pytest
from vitric.hdl.fabric import FABRICS
from vitric.hdl.units import UNITS


@pytest.mark.parametrize("name", UNITS)
def test_defaults_make_a_component(name):
    unit = UNITS[name]
    values = unit.values({})
    assert list(values) == list(unit.parameters)
    assert {one.name for one in fields(unit.spec_class)} <= set(values)
    component = unit.make({})
    assert component.spec == unit.make_spec({})
    assert component.latency >= 1 and component.interval == 1


@pytest.mark.parametrize("name", UNITS)
@pytest.mark.parametrize("fabric", FABRICS)
def test_fabrics(name, fabric):
    unit = UNITS[name]
    used = unit.fabric_for(fabric)
    assert used == (fabric if fabric in unit.fabrics else "generic")
    component = unit.make({}, fabric)
    if len(unit.fabrics) > 1:
        assert component.fabric == used


def test_wrong_parameter_of_the_component():
    with pytest.raises(ValueError, match="gelu: tag_bits must be between 0 and 64, not 65"):
        UNITS["gelu"].make({"tag_bits": 65})


@pytest.mark.parametrize("name", UNITS)
def test_every_entry_is_whole(name):
    """What it names is there, and all its sizes are legal."""
    unit = UNITS[name]
    assert unit.name == name and callable(unit.golden_function) and find_spec(unit.bench)
    for settings in (unit.fine, *unit.small.values(), *unit.proved.values()):
        assert unit.make(settings).spec == unit.make_spec(settings)
