"""`vitric allocate`: costs of widths, budgets kept by the compiled model, and files that other commands take."""

import json
import re
from dataclasses import replace

import pytest
from typer.testing import CliRunner
from vitric.compiler.costs import MEASURES, CostModel
from vitric.flow.cli import app
from vitric.flow.commands import allocate
from vitric.flow.commands.allocate import solve
from vitric.flow.inputs.layer_bits import read_layer_bits
from vitric.flow.project.integer import integer_model
from vitric.flow.project.project import open_project
from vitric.golden import digits, load_float, quantize
from vitric.golden.errors import UserError
from vitric.golden.quantization.analysis.layer_errors import measure_layer_errors
from vitric.golden.quantization.bits import product_names
from vitric.golden.quantization.methods import METHODS
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.spec.vit import vit_config

from tests.compiler.test_costs import size_and_cycles

TINY = vit_config("tiny")


def run(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


@pytest.fixture(scope="module")
def problem():
    model, train = load_float("tiny"), digits("train")
    errors = measure_layer_errors(model, train[:32], train[32:96], widths=(2, 3, 4, 8))
    return CostModel(TINY, SPECS["tiny"], METHODS["mse"]), errors


@pytest.mark.parametrize("measure,budget", [("bits", 3.5), ("bits", 6.0), ("cycles", 1850), ("cycles", 2300.5),
                                            ("bytes", 4964), ("bytes", 5500)])
def test_budgets_are_kept(problem, measure, budget):
    costs, errors = problem
    widths = [2, 3, 4, 8]
    found = solve(costs, errors, measure, budget, widths)
    assert costs.measure(found.layer_bits)[measure] <= budget
    if measure != "bits":
        model = quantize(load_float("tiny"), digits("train")[:32], layer_bits=found.layer_bits)
        real = dict(zip(("bytes", "cycles"), size_and_cycles(model, SPECS["tiny"]), strict=True))
        assert budget * 0.9 < real[measure] <= budget
    else:
        assert costs.measure(found.layer_bits)["bits"] > budget * 0.98
    more = solve(costs, errors, measure, budget * 1.3, widths)
    assert more.error < found.error


@pytest.mark.parametrize("measure,least", [("bits", "2.251"), ("cycles", "1828"), ("bytes", "4")])
def test_budgets_that_cannot_be_kept(problem, measure, least):
    costs, errors = problem
    with pytest.raises(UserError, match=rf"--budget must be at least {least}.*, the cost of the cheapest .* not 1.5"):
        solve(costs, errors, measure, 1.5, [2, 3, 4, 8])


def test_command_and_the_commands_that_take_its_file(problem, tmp_path, monkeypatch):
    monkeypatch.setattr(allocate, "_MEASURED_ON", 64)
    bits, figures, model = tmp_path / "sub" / "bits.json", tmp_path / "figures.json", tmp_path / "model.safetensors"
    done = run("allocate", "--config", "tiny", "--budget", "4", "--widths", "8,3,4", "--calibration", 32, "--out", bits,
               "--json", figures)
    assert done.exit_code == 0, done.output
    result = json.loads(bits.read_text())
    assert result == json.loads(figures.read_text())
    assert set(result["layer_bits"]) == set(product_names(TINY)) and result["widths"] == [3, 4, 8]
    assert set(result["cost"]) == set(MEASURES) and 3.8 < result["cost"]["bits"] <= 4
    assert [row["w_bits"] for row in result["uniform"]] == [3, 4, 8]
    assert [row["cost"]["cycles"] for row in result["uniform"]] == sorted(row["cost"]["cycles"]
                                                                          for row in result["uniform"])
    assert sum(layer["error_share"] for layer in result["layers"].values()) == pytest.approx(1, abs=0.01)
    assert all(name in done.output for name in result["layer_bits"]) and "chosen" in done.output

    done = run("quantize", "--config", "tiny", "--layer-bits", bits, "--calibration", 32, "--out", model, "--json",
               figures)
    assert done.exit_code == 0 and "mixed widths" in done.output, done.output
    quantized = json.loads(figures.read_text())
    assert quantized["layer_bits"] == result["layer_bits"]
    assert quantized["logit_snr_db"] == pytest.approx(result["expected_snr_db"], abs=2.0)
    kept = integer_model(replace(open_project("tiny"), build=tmp_path), layer_bits=read_layer_bits(bits))
    assert json.loads(kept.info["layer_bits"]) == result["layer_bits"]
    names = [path.name for path in tmp_path.glob("integer*")]
    assert len(names) == 1 and re.fullmatch(r"integer-layer_[0-9a-f]{12}.safetensors", names[0])


@pytest.mark.parametrize("arguments,message", [
    (["--widths", "3,x"], "--widths must be integers from 2 to 8 with commas between them, not 3,x"),
    (["--widths", "1,4"], "not 1,4"),
    (["--measure", "time"], "--measure must be one of bits, cycles, bytes, not time"),
    (["--config", "deit_tiny_block"], "deit_tiny_block has random weights"),
    (["--config", "huge"], "--project must be one of"),
    (["--method", "magic"], "method must be one of 'mse'"),
    (["--calibration", "1400"], "--calibration must be between 1 and 1181, not 1400"),
])
def test_command_rejects(arguments, message):
    done = run("allocate", "--budget", "4", *arguments)
    assert done.exit_code == 2 and message in done.stderr


@pytest.mark.parametrize("text,message", [
    ("{", "is not JSON"), ("[" * 100_000, "is not JSON: its values are nested too deeply"),
    ("[]", "must be a JSON object with the entry layer_bits"), ("{}", "must be a JSON object"),
    ('{"layer_bits": {"x": [4, 4]}}', "layer_bits must name"),
    ('{"layer_bits": {"head": [4]}}', "layer_bits of head must be a pair"),
])
def test_broken_files(text, message, tmp_path):
    path = tmp_path / "bits.json"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_layer_bits(path)
    for command in ("quantize", "sim"):
        done = run(command, "--config", "tiny", "--layer-bits", path)
        assert done.exit_code == 2 and message in done.stderr
    with pytest.raises(UserError, match="cannot read .*: No such file"):
        read_layer_bits(tmp_path / "absent.json")
