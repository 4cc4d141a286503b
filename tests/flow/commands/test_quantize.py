import json
from dataclasses import replace

import pytest
import torch
from typer.testing import CliRunner
from vitric.compiler.compile import compile_model
from vitric.flow.cli import app
from vitric.flow.project import integer
from vitric.flow.project.file import config_names
from vitric.flow.project.integer import integer_model
from vitric.flow.project.project import open_project
from vitric.golden import digits
from vitric.golden.errors import UserError
from vitric.golden.integer.storage import load_integer, model_digest
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.train import accuracy


def run(*arguments):
    return CliRunner().invoke(app, ["quantize", *map(str, arguments)])


def test_command_writes_model_and_figures(tmp_path):
    out, figures = tmp_path / "sub" / "model.safetensors", tmp_path / "figures.json"
    done = run("--config", "tiny", "--w-bits", 6, "--a-bits", 8, "--edge-bits", 7, "--softmax-bits", 5,
               "--calibration", 40, "--method", "percentile", "--granularity", "layer", "--out", out, "--json", figures)
    assert done.exit_code == 0, done.output
    result = json.loads(figures.read_text())
    model = load_integer(out)
    wanted = {"config": "tiny", "method": "percentile", "w_bits": 6, "a_bits": 8, "edge_bits": 7, "softmax_bits": 5,
              "granularity": "layer", "calibration_images": 40}
    assert {name: result[name] for name in wanted} == wanted and result["test_images"] == 360
    assert all(model.info[name] == str(value) for name, value in wanted.items() if name != "config")
    assert result["accuracy"]["integer"] == accuracy(model, digits("test")) > 0.9
    assert result["accuracy"]["float"] > 0.97 and result["accuracy"]["simulated"] > 0.9
    assert 5 < result["logit_snr_db"] < 30
    for share in result["accuracy"].values():
        assert f"{share:.2%} of 360 test images" in done.output


def test_command_names_the_file_and_prints_json(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run("--config", "tiny", "--json", "-")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["model"] == "build/tiny/integer.safetensors"
    assert load_integer("build/tiny/integer.safetensors").info["w_bits"] == "4"


@pytest.mark.parametrize("arguments,message", [
    (["--w-bits", 9], "--w-bits must be between 1 and 8, not 9"),
    (["--a-bits", 1], "--a-bits must be between 2 and 8, not 1"),
    (["--method", "magic"], "method must be one of 'mse', 'best', 'best_log', 'mse_plain', 'minmax', "),
    (["--granularity", "row"], "granularity must be one of"),
    (["--calibration", 0], "--calibration must be at least 1, not 0"),
    (["--calibration", 1338], "--calibration must be between 1 and 1337, not 1338"),
    (["--config", "deit"], f"--project must be one of {', '.join(config_names())}, a folder"),
    (["--config", "deit_tiny_block"], "deit_tiny_block has random weights, so nothing is quantized"),
    (["--test", 361], "--test must be between 0 and 360, not 361"),
    (["--weights", "a.pth"], "--project and --weights exclude each other"),
    (["--heads", 2], "--heads, --statistics and --image-size belong to --weights"),
    (["--image-size", 16], "--heads, --statistics and --image-size belong to --weights"),
    (["--data", "imagenet"], "data must be one of digits, fashion or a folder that exists, not "),
    (["--out", "model.pt"], "--out must be named *.safetensors, not model.pt"),
    (["--out", "/dev/null/model.safetensors"], "cannot write /dev/null/model.safetensors"),
])
def test_command_rejects(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run("--config", "tiny", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


def tiny_in(folder, **changes):
    return replace(open_project("tiny"), build=folder).changed(changes)


def test_quantized_model_is_kept_until_its_sources_change(tmp_path):
    model = integer_model(tiny_in(tmp_path), method="minmax")
    path = tmp_path / "integer-method_minmax.safetensors"
    written = path.stat().st_mtime_ns
    again = integer_model(tiny_in(tmp_path), method="minmax")
    assert path.stat().st_mtime_ns == written
    images = digits("test")[:20]
    assert torch.equal(model(images), again(images)) and model.info == again.info
    assert {model.info[name] for name in ("w_bits", "a_bits")} == {"4"}
    assert model.info["calibration_images"] == "64"
    path.write_bytes(path.read_bytes()[:100])  # damaged: made again
    assert torch.equal(integer_model(tiny_in(tmp_path), method="minmax")(images), model(images))
    few = tiny_in(tmp_path, quantization={"calibration": {"images": 32}, "method": "minmax"})
    assert integer_model(few).info["calibration_images"] == "32"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "integer-calibration_images_32-method_minmax.safetensors", path.name]


def test_without_options_it_is_the_committed_model(tmp_path, monkeypatch):
    model = integer_model(tiny_in(tmp_path))
    assert model_digest(model) == model_digest(load_integer(integer.committed_file("tiny")))
    assert list(tmp_path.iterdir()) == []  # nothing was quantized
    monkeypatch.setattr(integer, "committed_file", lambda config: tmp_path / "nowhere.safetensors")
    assert integer_model(tiny_in(tmp_path)).info["calibration_images"] == "64"
    assert (tmp_path / "integer.safetensors").exists()


@pytest.mark.parametrize("name", ["tiny", "digits"])
def test_quantized_model_compiles(name, tmp_path):
    compiled = compile_model(integer_model(replace(open_project(name), build=tmp_path)), SPECS[name])
    assert 0 < compiled.act_words <= SPECS[name].act_words


def test_model_without_training_is_random(tmp_path):
    model = integer_model(replace(open_project("deit_tiny_block"), build=tmp_path))
    assert model.info == {"method": "random", "seed": "1"} and len(model.blocks) == 1
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UserError, match=f"--project must be one of {', '.join(config_names())}, a folder"):
        open_project("x")
