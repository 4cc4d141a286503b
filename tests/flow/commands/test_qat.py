import json

import pytest
from typer.testing import CliRunner
from vitric.flow.cli import app
from vitric.golden import digits
from vitric.golden.integer.storage import load_integer
from vitric.golden.qat import OWN_TUNING
from vitric.golden.train import accuracy

from tests.flow.project.own import write_own


def run(*arguments):
    return CliRunner().invoke(app, ["qat", *map(str, arguments)])


def test_command_trains_and_writes(tmp_path):
    out, figures = tmp_path / "sub" / "model.safetensors", tmp_path / "figures.json"
    done = run("--config", "tiny", "--w-bits", 2, "--a-bits", 3, "--epochs", 4, "--learning-rate", 3e-3,
               "--freeze-from", 1, "--distillation", 0.5, "--calibration", 40, "--out", out, "--json", figures)
    assert done.exit_code == 0, done.output
    result, model = json.loads(figures.read_text()), load_integer(out)
    wanted = {"config": "tiny", "w_bits": 2, "a_bits": 3, "epochs": 4, "learning_rate": 3e-3, "freeze_from": 1.0,
              "distillation": 0.5, "calibration_images": 40, "test_images": 360, "model": str(out)}
    assert {name: result[name] for name in wanted} == wanted
    assert (model.info["w_bits"], model.info["qat_epochs"], model.info["qat_learning_rate"]) == ("2", "4", "0.003")
    shares = result["accuracy"]
    assert shares["integer"] == accuracy(model, digits("test")) > shares["post_training"] + 0.1
    for share in shares.values():
        assert f"{share:.2%} of 360 test images" in done.output


def test_a_project_of_ones_own_on_other_images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_own(tmp_path)
    training = ["train", "--data", "pictures", "--image-size", "12", "--embed-dim", "16", "--num-heads", "2", "--depth",
                "1", "--mlp-ratio", "2", "--epochs", "1", "--out", "float.safetensors"]
    assert CliRunner().invoke(app, training).exit_code == 0
    (tmp_path / "vitric.toml").write_text('[model]\nweights = "float.safetensors"\n[data]\nsource = "nowhere"\n'
                                          '[accelerator]\nspec = "tiny"\n')
    done = run("--epochs", 1, "--calibration", 5)
    assert done.exit_code == 2 and "nowhere" in done.output
    done = run("--data", "pictures", "--calibration", 5, "--threads", 1, "--json", "figures.json")
    assert done.exit_code == 0, done.output
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert (figures["epochs"], figures["test_images"], figures["calibration_images"]) == (OWN_TUNING.epochs, 12, 5)
    assert load_integer(tmp_path / "build" / "qat-w4a4.safetensors").config.image_size == 12


@pytest.mark.parametrize("arguments,message", [
    (["--config", "deit"], "--project must be one of"),
    (["--w-bits", 9], "--w-bits must be between 1 and 8, not 9"),
    (["--epochs", 0], "epochs must be between 1 and 10000, not 0"),
    (["--distillation", 2], "distillation must be between 0 and 1, not 2"),
    (["--calibration", 1438], "--calibration must be between 1 and 1437, not 1438"),
    (["--method", "p2_vit"], "method must be one without power-of-two scales, not 'p2_vit'"),
    (["--out", "model.pt"], "--out must be named *.safetensors, not model.pt"),
])
def test_command_rejects(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run("--config", "tiny", *arguments)
    assert done.exit_code == 2 and message in " ".join(done.output.split()), done.output
    assert not (tmp_path / "build").exists()
