"""Training: the same weights for the same seed, augmentation, schedule, the command and its errors."""

import json
from pathlib import Path

import pytest
import torch
from torch.nn import functional
from vitric.flow.commands.train import train_command
from vitric.golden.checkpoint import load_float, read_about
from vitric.golden.data.images import ImageData
from vitric.golden.data.sets import digits
from vitric.golden.errors import UserError
from vitric.golden.recipe import RECIPES, Recipe
from vitric.golden.spec.vit import VIT_CONFIGS
from vitric.golden.train import accuracy, train

TINY = VIT_CONFIGS["tiny"]
STILL = Recipe(epochs=1, shift=0.0, rotation=0.0, scale=0.0)


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def test_one_epoch_is_deterministic():
    recipe = Recipe(epochs=1, batch_size=128)
    torch.manual_seed(123)
    expected_random = torch.rand(3)
    torch.manual_seed(123)
    threads = torch.get_num_threads()
    first = weights(train(TINY, recipe))
    assert torch.rand(3).equal(expected_random) and torch.get_num_threads() == threads
    assert first.equal(weights(train(TINY, recipe)))
    assert not first.equal(weights(train(TINY, Recipe(epochs=1, batch_size=128, seed=1))))
    coarse = weights(train(TINY, Recipe(epochs=1, batch_size=128, precision="bfloat16")))
    assert not first.equal(coarse)
    torch.testing.assert_close(first, coarse, rtol=0, atol=0.02)


def test_training_learns_and_reports():
    epochs = []
    model = train(TINY, Recipe(epochs=6, learning_rate=1e-2, average=0.9), on_epoch=lambda *row: epochs.append(row))
    assert [epoch for epoch, _, _ in epochs] == [1, 2, 3, 4, 5, 6]
    assert epochs[-1][1] < epochs[0][1] and epochs[-1][2] > epochs[0][2]
    assert not model.training and accuracy(model, digits("train")) > 0.5


def test_accuracy_counts():
    images = torch.zeros(4, 1, 8, 8, dtype=torch.uint8)
    data = ImageData("test", images, torch.tensor([3, 1, 3, 3]))
    assert accuracy(lambda _: functional.one_hot(torch.full((4,), 3), 10), data) == 0.75


def test_images_of_another_network():
    with pytest.raises(ValueError, match="image_size 8, in_chans 1 and num_classes 10, not image_size 28"):
        train(VIT_CONFIGS["fashion"], Recipe(epochs=1))


def test_mixed_images_train_and_the_share_changes_the_weights():
    plain, mixed = (train(TINY, Recipe(epochs=1, batch_size=256, cutmix=share)) for share in (0.0, 1.0))
    assert not weights(plain).equal(weights(mixed))
    assert weights(mixed).isfinite().all()


def test_command_writes_checkpoint_card_and_json(tmp_path, capsys):
    out, report = tmp_path / "new" / "tiny.safetensors", tmp_path / "tiny.json"
    train_command(project="tiny", epochs=1, seed=4, out=out, json_file=report)
    figures = json.loads(report.read_text())
    assert figures["recipe"]["seed"] == 4 and figures["checkpoint"] == str(out)
    assert figures["test_accuracy"] == accuracy(load_float(out), digits("test")) == read_about(out)["test_accuracy"]
    card = out.with_suffix(".md").read_text()
    for part in ("--config tiny --epochs 1 --seed 4", f"{figures['parameters']:,}", figures["torch"], "5 tokens"):
        assert part in card
    assert "test accuracy" in capsys.readouterr().out
    content = out.read_bytes()
    train_command(project="tiny", epochs=1, seed=4, out=out, json_file=None)
    assert out.read_bytes() == content


def test_json_on_stdout_is_only_json(tmp_path, capsys):
    train_command(project="tiny", epochs=1, seed=0, out=tmp_path / "a.safetensors", json_file="-")
    assert json.loads(capsys.readouterr().out)["config"] == "tiny"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"project": "deit_tiny"}, f"config to train must be one of {', '.join(map(repr, RECIPES))}, not 'deit_tiny'"),
        ({"epochs": 0}, "epochs must be between"),
        ({"seed": -1}, "seed must be between"),
        ({"out": Path("model.pt")}, r"must be named \*\.safetensors, not model\.pt"),
    ],
)
def test_command_errors_write_nothing(tmp_path, monkeypatch, change, message):
    monkeypatch.chdir(tmp_path)
    arguments = {"project": "tiny", "epochs": 1, "seed": 0, "out": None, "json_file": None} | change
    with pytest.raises(UserError, match=message):
        train_command(**arguments)
    assert not list(tmp_path.iterdir())


def test_unwritable_target_is_a_user_error_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        train_command(project="tiny", epochs=10_000, seed=0, out=tmp_path / "file" / "a.safetensors", json_file=None)
