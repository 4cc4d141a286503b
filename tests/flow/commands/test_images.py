import json

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from typer.testing import CliRunner
from vitric.flow.cli import app
from vitric.flow.commands.images import contact_sheet
from vitric.flow.inputs.calibration import SOURCES, calibration_images
from vitric.golden import load_float
from vitric.golden.data_free import gaussian_images, synthesize
from vitric.golden.errors import UserError


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_command_writes_images_and_a_sheet(tmp_path):
    out, figures = tmp_path / "sub" / "images.safetensors", tmp_path / "figures.json"
    done = run("images", "--config", "tiny", "--count", 12, "--steps", 100, "--seed", 2, "--out", out, "--json",
               figures)
    assert done.exit_code == 0, done.output
    result = json.loads(figures.read_text())
    wanted = {"config": "tiny", "count": 12, "steps": 100, "seed": 2}
    with safe_open(out, "pt") as file:
        assert json.loads(file.metadata()["vitric"]) == wanted
        images = file.get_tensor("images")
    assert torch.equal(images, synthesize(load_float("tiny"), 12, steps=100, seed=2))
    assert wanted.items() <= result.items() and result["as_wanted"] > 0.8
    assert f"{result['as_wanted']:.2%}" in done.output
    assert result["images"] == str(out) and result["contact_sheet"] == str(out.with_suffix(".png"))
    with Image.open(out.with_suffix(".png")) as sheet:
        assert sheet.size == (10 * 34, 2 * 34)


def test_command_has_defaults(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vitric.golden.data_free.STEPS", 3)
    done = run("images", "--config", "tiny", "--json", "-")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert (result["count"], result["steps"], result["seed"]) == (64, 3, 0)
    assert (tmp_path / "build/tiny/synthetic.safetensors").is_file()


def test_contact_sheet():
    images = torch.arange(3 * 16, dtype=torch.uint8).reshape(3, 1, 4, 4)
    sheet = contact_sheet(images, 2)  # each pixel becomes 8x8, with one grey pixel around each image
    assert sheet.size == (2 * 34, 2 * 34) and sheet.mode == "L"
    for n, row, column in ((0, 0, 0), (0, 1, 3), (1, 3, 2), (2, 2, 1)):
        at = 34 * (n % 2) + 1 + 8 * column, 34 * (n // 2) + 1 + 8 * row
        assert [sheet.getpixel((at[0] + d, at[1] + d)) for d in (0, 7)] == [16 * n + 4 * row + column] * 2
    assert sheet.getpixel((0, 0)) == sheet.getpixel((40, 40)) == 128
    colours = torch.tensor([10, 20, 30], dtype=torch.uint8).reshape(1, 3, 1, 1).expand(150, 3, 40, 40)
    sheet = contact_sheet(colours, 10)
    assert sheet.size == (420, 420) and sheet.getpixel((1, 1)) == (10, 20, 30)
    assert contact_sheet(colours[:, :2], 10).getpixel((1, 1)) == 15


def test_sources_of_calibration_images(monkeypatch):
    monkeypatch.setattr("vitric.golden.data_free.STEPS", 3)
    model = load_float("tiny")
    images = {source: calibration_images(source, model, 6) for source in SOURCES[1:]}
    assert torch.equal(images["data_free"], synthesize(model, 6, steps=3))
    assert torch.equal(images["noise"], gaussian_images(model.config, 6))
    with pytest.raises(UserError, match="--calibration-source must be one of train, data_free, noise, not 'web'"):
        calibration_images("web", model, 6)


def test_quantize_takes_the_source(tmp_path):
    out, snr = tmp_path / "model.safetensors", {}
    for source in ("train", "noise"):
        done = run("quantize", "--config", "tiny", "--calibration-source", source, "--out", out, "--json", "-")
        result = json.loads(done.stdout)
        assert result["calibration_source"] == source
        snr[source] = result["logit_snr_db"]
    assert snr["train"] > snr["noise"] + 1


@pytest.mark.parametrize("arguments,message", [
    (["images", "--count", 0], "count must be between 1 and 100000, not 0"),
    (["images", "--steps", 0], "steps must be between 1 and 100000, not 0"),
    (["images", "--out", "images.png"], "--out must be named *.safetensors, not images.png"),
    (["images", "--config", "deit"], "--project must be one of"),
    (["images", "--steps", 1, "--out", "/dev/null/x.safetensors"], "cannot write /dev/null/x.safetensors"),
    (["quantize", "--calibration-source", "web"], "--calibration-source must be one of train, data_free, noise"),
])
def test_command_rejects(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(arguments[0], *(() if "--config" in arguments else ("--config", "tiny")), *arguments[1:])
    assert done.exit_code == 2
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []
