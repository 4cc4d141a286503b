import json
import sys

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from typer.testing import CliRunner
from vitric.flow.cli import app
from vitric.flow.commands import export
from vitric.flow.project.file import config_names
from vitric.golden import digits, load_float
from vitric.golden.integer.storage import load_integer, save_integer
from vitric.golden.qonnx import check
from vitric.golden.quantization import quantize_with_scales, simulate


def run(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


@pytest.fixture(scope="module")
def integer_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    widths = path.with_name("widths.json")
    widths.write_text(json.dumps({"layer_bits": {"blocks.0.mlp": [5, 6], "blocks.0.attn.scores": [8, 7]}}))
    done = run("quantize", "--config", "tiny", "--w-bits", 3, "--a-bits", 5, "--method", "minmax", "--calibration", 20,
               "--layer-bits", widths, "--out", path)
    assert done.exit_code == 0, done.output
    return path


def test_command_writes_executes_and_reports(tmp_path):
    out, figures = tmp_path / "sub" / "model.onnx", tmp_path / "figures.json"
    done = run("export", "--qonnx", "--config", "tiny", "--w-bits", 6, "--a-bits", 5, "--edge-bits", 7,
               "--softmax-bits", 6, "--method", "percentile", "--granularity", "layer", "--calibration", 40,
               "--images", 3, "-o", out, "--json", figures)
    assert done.exit_code == 0, done.output
    result = json.loads(figures.read_text())
    wanted = {"method": "percentile", "w_bits": "6", "a_bits": "5", "edge_bits": "7", "softmax_bits": "6",
              "granularity": "layer", "calibration_images": "40"}
    assert wanted.items() <= result["quantization"].items()
    assert result["config"] == "tiny" and result["images"] == 3 and result["equal"] is True
    assert result["file"] == str(out) and result["bytes"] == out.stat().st_size
    proto = onnx.load(out)
    assert sum(result["nodes"].values()) == len(proto.graph.node)
    assert all(x["outside"] == 0 for x in result["tensors"]) and len(result["tensors"]) == 13
    lowered = quantize_with_scales(load_float("tiny"), digits("train")[:40], w_bits=6, a_bits=5, edge_bits=7,
                                   softmax_bits=6, method="percentile", granularity="layer")
    alike = []
    for image in digits("test").images[:12].split(1):
        logits = execute_onnx(ModelWrapper(proto), {"images": image.numpy().astype(np.float32)})["head"]
        alike.append(np.allclose(logits, simulate(lowered, image)["head"][:, 0], atol=1e-3))
    assert sum(alike) >= 3  # sums of floats differ between CPUs, and may round a code otherwise, from which all differs
    assert "every layer agrees" in done.output and "attn.softmax" in done.output


def test_defaults_and_json_on_stdout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run("export", "--qonnx", "--config", "tiny", "--images", 0, "--batch", 4, "--json", "-")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["file"] == "build/tiny/mse-w4a4.onnx" and result["images"] == 0 and "tensors" not in result
    proto = onnx.load("build/tiny/mse-w4a4.onnx")
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 4


def test_integer_model_gives_the_file_of_its_options(integer_file, tmp_path):
    files = [tmp_path / "a.onnx", tmp_path / "b.onnx"]
    options = ["--config", "tiny", "--w-bits", 3, "--a-bits", 5, "--method", "minmax", "--calibration", 20,
               "--layer-bits", integer_file.with_name("widths.json")]
    for arguments, file in zip(([integer_file], options), files, strict=True):
        done = run("export", "--qonnx", *arguments, "--images", 0, "-o", file)
        assert done.exit_code == 0, done.output
    assert files[0].read_bytes() == files[1].read_bytes()
    info = {entry.key: json.loads(entry.value) for entry in onnx.load(files[0]).metadata_props}["vitric.info"]
    assert json.loads(info["layer_bits"])["blocks.0.mlp"] == [5, 6]


@pytest.mark.parametrize("change", ["weight", "info", "none"])
def test_integer_model_that_cannot_be_made_again(integer_file, tmp_path, change):
    model = load_integer(integer_file)
    if change == "weight":
        model.head.weight[0, 0] += 1 if model.head.weight[0, 0] < 0 else -1
    elif change == "info":
        model.info["calibration_images"] = "21"
    else:
        model.info.clear()
    path = tmp_path / "other.safetensors"
    save_integer(model, path)
    done = run("export", "--qonnx", path, "-o", tmp_path / "x.onnx")
    assert done.exit_code == 2
    assert "does not hold the real scales of its integers" in done.stderr
    assert ("nor how it was made" if change == "none" else "(tiny, tiny_small)") in done.stderr
    assert not (tmp_path / "x.onnx").exists()


def test_a_difference_is_exit_status_1(tmp_path, monkeypatch):
    monkeypatch.setattr(check, "TOLERANCE", -1e-9)
    done = run("export", "--qonnx", "--config", "tiny", "--images", 1, "-o", tmp_path / "x.onnx")
    assert done.exit_code == 1 and "not equal" in done.output


@pytest.mark.parametrize("arguments,message", [
    ([], "say which format to write: --qonnx is the only one"),
    (["--qonnx", "-o", "model.pb"], "--out must be named *.onnx, not model.pb"),
    (["--qonnx", "--batch", 0], "--batch must be between 1 and 4096, not 0"),
    (["--qonnx", "--images", -1], "--images must be at least 0, not -1"),
    (["--qonnx", "--images", 361], "--images must be between 0 and 360, not 361"),
    (["--qonnx", "--calibration", 0], "--calibration must be at least 1, not 0"),
    (["--qonnx", "--layer-bits", "none.json"], "cannot read none.json"),
    (["--qonnx", "--w-bits", 9], "--w-bits must be between 1 and 8, not 9"),
    (["--qonnx", "--method", "magic"], "method must be one of 'mse', "),
    (["--qonnx", "--config", "deit"], f"--project must be one of {', '.join(config_names())}, a folder"),
    (["--qonnx", "--config", "deit_tiny_block"], "deit_tiny_block has no data"),
    (["--qonnx", "missing.safetensors"], "cannot read missing.safetensors: it does not exist"),
    (["--qonnx", __file__, "--w-bits", 4], "w_bits: not together with an integer model"),
    (["--qonnx", "--config", "tiny", "--images", 0, "-o", "/dev/null/x.onnx"], "cannot write /dev/null/x.onnx"),
])
def test_rejects(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run("export", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    missing = {"onnx", "qonnx"}
    monkeypatch.setattr(export, "find_spec", lambda name: None if name in missing else True)
    done = run("export", "--qonnx", "--config", "tiny")
    assert done.exit_code == 2
    assert "the package onnx, which writes the file, is not installed: run make setup" in done.stderr
    missing.remove("onnx")
    done = run("export", "--qonnx", "--config", "tiny")
    assert done.exit_code == 2 and "the package qonnx, which executes the file (--images 0" in done.stderr


def test_writes_without_qonnx(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "qonnx" or name.startswith(
            "vitric.golden.qonnx")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "qonnx", None)
    done = run("export", "--qonnx", "--config", "tiny", "--images", 0, "-o", tmp_path / "x.onnx")
    assert done.exit_code == 0, done.output
    assert numpy_helper.to_array(onnx.load(tmp_path / "x.onnx").graph.initializer[0]).size
