"""FuseSoC takes what `vitric generate` writes: lint, and a simulation with golden's logits."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner
from vitric.flow.cli import app
from vitric.integration.fusesoc import core_file
from vitric.integration.testbench import hex_lines
from vitric.toolchain import tools


def fusesoc(folder, target, name):
    environment = {**os.environ, **tools.verilator_environment()}
    return subprocess.run(
        [str(Path(sys.executable).with_name("fusesoc")), "--cores-root", ".", "run", "--build-root", "made",
         f"--target={target}", f"vitric:generated:{name}"],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=500)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("generated")
    for arguments in (["--project", "tiny", "--wrapper", "axis", "--name", "vit"], ["gelu", "--name", "table"]):
        result = CliRunner().invoke(app, ["generate", *arguments, "--out", str(made / f"{arguments[-1]}.v")])
        assert result.exit_code == 0, result.output
    return made


@pytest.mark.parametrize("name", ["vit", "table"])
def test_lint(folder, name):
    result = fusesoc(folder, "lint", name)
    assert result.returncode == 0, result.stderr


def test_simulation_finds_goldens_logits_and_sees_a_wrong_one(folder):
    result = fusesoc(folder, "sim", "vit")
    assert result.returncode == 0, result.stderr
    assert "PASS: 2 images, 20 logits, 0 differ, " in result.stdout
    logits = folder / "vit_logits.hex"
    first, *others = logits.read_text().splitlines()
    logits.write_text("\n".join([f"{int(first, 16) ^ 1:04x}", *others, ""]))
    result = fusesoc(folder, "sim", "vit")
    assert result.returncode != 0 and "FAIL: 1 errors, 20 logits" in result.stdout + result.stderr


def test_files_of_the_core():
    text = core_file("a", "What it is", verilog="b.v")
    assert "name: vitric:generated:a:" in text and "files: [b.v]" in text and "sim:" not in text
    assert hex_lines([-1, 5], 12) == "fff\n005\n" and hex_lines([1], 9) == "001\n"
