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
from vitric.golden.spec.vit import VIT_CONFIGS
from vitric.golden.train import RECIPES, Recipe, accuracy, augment, recipe_for, train

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


def test_schedule():
    recipe = Recipe(epochs=1, learning_rate=1.0, warmup=0.1)
    rates = [recipe.rate(step, 100) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * step for step in range(1, 11)])
    assert rates[10] == 1.0 and rates[55] == pytest.approx(0.5)
    assert rates[10:] == sorted(rates[10:], reverse=True) and 0 < rates[-1] < 1e-3


def test_augmentation_off_is_the_identity():
    images = digits("train")[:8]
    generator = torch.Generator().manual_seed(0)
    torch.testing.assert_close(augment(images, STILL, generator), images.float(), rtol=0, atol=1e-3)


def test_augmentation_stays_within_its_bounds():
    images = torch.zeros(400, 1, 8, 8)
    images[:, :, 3:5, 3:5] = 100.0
    moved = augment(images, Recipe(epochs=1, shift=1.0, rotation=0.0, scale=0.0), torch.Generator().manual_seed(0))
    assert 0 <= moved.min() and moved.max() <= 100.001
    assert moved.sum(dim=(1, 2, 3)) == pytest.approx(400.0, rel=1e-4)  # bilinear keeps the mass inside the frame
    centre = (moved * torch.arange(8.0)).sum(dim=(1, 2, 3)) / 400 - 3.5
    assert 0.9 < centre.abs().max() <= 1.0001 and abs(centre.mean()) < 0.1
    turned = augment(images, Recipe(epochs=1, shift=0.0, rotation=45.0, scale=0.0), torch.Generator().manual_seed(0))
    torch.testing.assert_close(turned, turned.rot90(2, (2, 3)), rtol=0, atol=1e-3)


def test_flip_mirrors_half_of_the_images():
    images = torch.arange(64, dtype=torch.uint8).reshape(1, 1, 8, 8).expand(200, 1, 8, 8)
    still = Recipe(epochs=1, shift=0.0, rotation=0.0, scale=0.0, flip=True)
    flipped = augment(images, still, torch.Generator().manual_seed(0))
    mirrored = [index for index, image in enumerate(flipped) if torch.allclose(image, images[0].flip(-1).float())]
    others = [index for index, image in enumerate(flipped) if torch.allclose(image, images[0].float(), atol=1e-3)]
    assert len(mirrored) + len(others) == 200 and 70 < len(mirrored) < 130


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "epochs must be between 1 and 10000, not 0"),
        ({"epochs": 1.5}, TypeError, "epochs must be an integer"),
        ({"seed": -1}, ValueError, "seed must be between 0"),
        ({"batch_size": 0}, ValueError, "batch_size must be between"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate must be"),
        ({"average": 1.0}, ValueError, "average must be"),
        ({"data": "cifar"}, ValueError, "data set must be one of"),
        ({"threads": 0}, ValueError, "threads must be between"),
        ({"precision": "float8"}, ValueError, "precision must be one of"),
        ({"label_smoothing": float("nan")}, ValueError, "label_smoothing must be"),
    ],
)
def test_illegal_recipe(change, error, message):
    with pytest.raises(error, match=message):
        Recipe(**{"epochs": 1} | change)


def test_recipes():
    assert set(RECIPES) == {"tiny", "digits", "fashion"}
    assert recipe_for("tiny") == RECIPES["tiny"]
    changed = recipe_for("digits", epochs=3, seed=9)
    assert (changed.epochs, changed.seed, changed.learning_rate) == (3, 9, RECIPES["digits"].learning_rate)
    names = ", ".join(map(repr, RECIPES))
    with pytest.raises(ValueError, match=f"config to train must be one of {names}, not 'large'"):
        recipe_for("large")
    with pytest.raises(ValueError, match="image_size 8, in_chans 1 and num_classes 10, not image_size 28"):
        train(VIT_CONFIGS["fashion"], STILL)


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
