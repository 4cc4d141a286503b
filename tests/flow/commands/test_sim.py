"""The command line around the simulation: legal values, and that a difference ends with status 1."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner
from vitric.flow.cli import app
from vitric.flow.project import integer
from vitric.flow.project.file import config_names
from vitric.flow.project.project import open_project
from vitric.golden import digits, load_float, quantize
from vitric.golden.errors import UserError
from vitric.golden.integer.storage import save_integer
from vitric.sim import accelerator, harness

from tests.processes import one_at_a_time
from tests.sim.test_accelerator import FOLDER

RUNNER = CliRunner()


@pytest.fixture
def build(tmp_path, monkeypatch):
    """Work in a folder of one's own, with the build of the accelerator's tests."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "build" / "tiny").mkdir(parents=True)
    (tmp_path / "build" / "tiny" / "verilator").symlink_to(FOLDER)
    with one_at_a_time(FOLDER):
        yield


@pytest.mark.parametrize(("arguments", "message"), [
    (["--config", "no-such-config"], f"--project must be one of {', '.join(config_names())}, a folder"),
    (["--config", "tiny", "--images", "0"], "--images must be between 1 and 1000000, not 0"),
    (["--config", "tiny", "--images", "361"], "images must be at most 360, the size of the test split, not 361"),
    (["--config", "tiny", "--stall", "100"], "--stall must be between 0 and 90, not 100"),
    (["--config", "tiny", "--waves", "--waves-begin", "7", "--waves-end", "7"], "--waves-begin and --waves-end"),
])
def test_wrong_arguments_end_with_status_2(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = RUNNER.invoke(app, ["sim", *arguments])
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.output.split())


def test_model_of_a_file(build, tmp_path):
    path = tmp_path / "model.safetensors"
    save_integer(quantize(load_float("tiny"), digits("train")[:32], w_bits=2, a_bits=3), path)
    done = RUNNER.invoke(app, ["sim", "--config", "tiny", "--images", "2", "--model", str(path), "--json", "-"])
    assert done.exit_code == 0, done.output
    assert (result := json.loads(done.stdout))["values_differ"] == 0 and result["values_compared"] == 2 * 746
    assert "w_bits 2, a_bits 3" in done.stderr
    for arguments, message in [
        (["--config", "tiny", "--w-bits", "3"], "the integer model of tiny is there already"),
        (["--config", "digits"], "[model] integer of digits must be of the network"),
        (["--config", "tiny", "--model", str(tmp_path / "none")], "--model"),
    ]:
        wrong = RUNNER.invoke(app, ["sim", "--model", str(path), *arguments])
        assert wrong.exit_code == 2 and message in " ".join(wrong.output.split()), wrong.output


def test_figures_and_exit_status(build, monkeypatch):
    figures = RUNNER.invoke(app, ["sim", "--config", "tiny", "--images", "4", "--json", "-"])
    assert figures.exit_code == 0, figures.output
    result = json.loads(figures.stdout)
    assert result["images"] == 4
    assert result["values_differ"] == 0
    assert result["values_compared"] == 4 * 746
    assert result["accuracy"]["golden"] == result["accuracy"]["rtl"]
    assert sum(entry["cycles"] for entry in result["commands"]) == pytest.approx(
        result["cycles_per_image"], abs=0.06)  # which is rounded
    assert sum(entry["beats"] for entry in result["breakdown"]) / result["cycles_per_image"] == pytest.approx(
        result["array_busy"], rel=1e-4)

    # The golden model gets one other bias: every later tensor differs, and so must the exit status.
    genuine = integer.integer_model(open_project("tiny"))
    fc1 = genuine.blocks[0].mlp.fc1
    bias = fc1.requantizer.bias.clone()
    bias[3] += 4000
    other = replace(fc1, requantizer=replace(fc1.requantizer, bias=bias))
    block = replace(genuine.blocks[0], mlp=replace(genuine.blocks[0].mlp, fc1=other))
    changed = replace(genuine, blocks=(block,))
    from vitric.compiler import compile as compiler

    compile_genuine = compiler.compile_model
    monkeypatch.setattr(integer, "integer_model", lambda project: changed)
    monkeypatch.setattr(compiler, "compile_model", lambda model, spec: compile_genuine(genuine, spec))
    wrong = RUNNER.invoke(app, ["sim", "--config", "tiny", "--images", "2", "--json", "-"])
    assert wrong.exit_code == 1
    result = json.loads(wrong.stdout)
    assert result["values_differ"] > 0
    first = result["mismatches"][0]
    assert (first["image"], first["block"], first["tensor"]) == (0, 0, "blocks.0.mlp.act")
    assert first["index"][1] == 3


def test_python_takes_the_build_of_the_command(tmp_path, monkeypatch):
    folders = []

    def run_bench(*arguments, build_dir, **options):
        folders.append(build_dir)
        raise UserError("the work would begin here")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(harness, "run_bench", run_bench)
    project = open_project("tiny")
    model = integer.integer_model(project)
    with pytest.raises(UserError, match="would begin"):
        accelerator.run(model, digits("test")[:1])
    assert RUNNER.invoke(app, ["sim", "--config", "tiny"]).exit_code == 2
    assert folders == [tmp_path / "build" / "tiny" / "verilator"] * 2
