# amaranth: UnusedElaboratable=no
import json
import re

import pytest
from amaranth.hdl import Shape
from amaranth.lib import data
from typer.testing import CliRunner
from vitric.flow.cli import app
from vitric.flow.project.file import config_names
from vitric.golden.spec.accelerator import SPECS
from vitric.hdl.fabric import FABRICS
from vitric.hdl.units import UNITS


def generated(out, *arguments):
    """Return the Verilog and the sidecar that the command writes, after comparing their ports."""
    result = CliRunner().invoke(app, ["generate", *arguments, "--out", str(out)])
    assert result.exit_code == 0, result.output
    sidecar = json.loads(out.with_suffix(".json").read_text())
    name = sidecar["module"]
    module = re.search(rf"^module {name}\((.*?)\);(.*?)^endmodule", out.read_text(), re.DOTALL | re.MULTILINE)
    names = {name.strip() for name in module.group(1).split(",")}
    assert names == set(sidecar["ports"])
    for name, port in sidecar["ports"].items():
        declared = re.search(rf"^  {port['dir']}put (?:\[(\d+):0\] )?{name};", module.group(2), re.MULTILINE)
        assert declared, name
        assert int(declared.group(1) or 0) + 1 == port["width"], name
    return out.read_text(), sidecar


def test_verilog_and_sidecar_agree(tmp_path):
    _, sidecar = generated(tmp_path / "tiny.v", "--config", "tiny")
    assert sidecar["spec_hash"] == SPECS["tiny"].hash


@pytest.mark.parametrize("unit", UNITS)
def test_verilog_and_sidecar_of_a_unit_agree(unit, tmp_path):
    lanes = ("rows" if unit == "mac" else "lanes") + "=2"
    _, sidecar = generated(tmp_path / "unit.v", unit, "--set", lanes)
    assert sidecar["parameters"] == json.loads(json.dumps(UNITS[unit].values({lanes[:-2]: 2})))
    component = UNITS[unit].make({lanes[:-2]: 2})
    assert (sidecar["latency"], sidecar["interval"]) == (component.latency, component.interval)
    for path, member, _ in component.signature.flatten(component):
        port = sidecar["ports"]["__".join(path)]
        if isinstance(member.shape, data.Layout):
            assert positions(port["layout"]) == dict(leaves(member.shape))
        else:
            shape = Shape.cast(member.shape)
            assert (port["width"], port["signed"], "layout" in port) == (shape.width, shape.signed, False)


def positions(layout, at=0, path=()):
    """Return path, first bit, width and signedness of every leaf of a layout in a sidecar."""
    if "fields" in layout:
        parts = [(name, at + part["offset"], part) for name, part in layout["fields"].items()]
    elif "length" in layout:
        element = layout["element"]
        parts = [(n, at + n * element["width"], element) for n in range(layout["length"])]
    else:
        return {path: (at, layout["width"], layout["signed"])}
    return {key: value for name, start, part in parts for key, value in positions(part, start, (*path, name)).items()}


def leaves(shape, at=0, path=()):
    """Yield the same of a layout of Amaranth."""
    if isinstance(shape, data.Layout):
        for name, part in shape:
            yield from leaves(part.shape, at + part.offset, (*path, name))
    else:
        shape = Shape.cast(shape)
        yield path, (at, shape.width, shape.signed)


def test_fabric_of_a_unit(tmp_path):
    text, sidecar = generated(tmp_path / "a.v", "requantize", "--set", "lanes=1", "--fabric", "ecp5")
    assert "MULT18X18D" in text and sidecar["fabric"] == "ecp5"
    text, sidecar = generated(tmp_path / "b.v", "softmax", "--set", "lanes=1", "--fabric", "ecp5")
    assert sidecar["fabric"] == "generic"  # the same hardware everywhere


def test_without_a_name_it_goes_to_build(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["generate", "gelu", "--set", "lanes=1"]).exit_code == 0
    written = sorted(path.name for path in (tmp_path / "build" / "units").iterdir())
    assert written == ["gelu_lanes1.core", "gelu_lanes1.json", "gelu_lanes1.v"]


def test_two_units_share_no_module(tmp_path):
    """Every module of the text of one, submodules too, has another name than those of the other ones."""
    asked = [("requantize", "lanes=1"), ("requantize", "lanes=2"), ("requantize", "lanes=2", "--fabric", "ecp5"),
             ("gelu", "lanes=1"), ("gelu", "lanes=1", "--name", "own")]
    found = {}
    for number, (unit, *settings) in enumerate(asked):
        text, sidecar = generated(tmp_path / f"{number}.v", unit, "--set", *settings)
        modules = re.findall(r"^module (\S+?)\s*\(", text, re.MULTILINE)
        assert sidecar["module"] in modules and not set(modules) & set(found), sidecar["module"]
        found |= dict.fromkeys(modules, sidecar["module"])
    assert list(dict.fromkeys(found.values())) == [
        "requantize_lanes1", "requantize_lanes2", "requantize_lanes2_ecp5", "gelu_lanes1", "own"]


@pytest.mark.parametrize(("arguments", "message"), [
    (["--config", "no-such-config"], f"--project must be one of {', '.join(config_names())}, a folder"),
    (["--config", "tiny", "--fabric", "asic"], f"--fabric must be one of {', '.join(FABRICS)}, not 'asic'"),
    (["--config", "tiny", "--out", "x.vhd"], "--out must be named *.v, not x.vhd"),
    (["tanh"], f"unit must be one of {', '.join(UNITS)}, not 'tanh'"),
    (["gelu", "--fabric", "asic"], f"--fabric must be one of {', '.join(FABRICS)}, not 'asic'"),
    (["gelu", "--set", "lanes=0"], "gelu: lanes must be between 1 and 128, not 0"),
    (["gelu", "--config", "tiny"], "--project belongs to the accelerator"),
    (["--set", "lanes=3"], "--set needs a unit"),
    (["gelu", "--name", "8bit"], "--name must be letters, digits and _, beginning with no digit, not '8bit'"),
])
def test_wrong_arguments_end_with_status_2(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["generate", *arguments])
    assert result.exit_code == 2
    assert message in result.output.replace("\n", " ")
    assert not list(tmp_path.iterdir())
