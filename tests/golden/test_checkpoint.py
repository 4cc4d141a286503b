"""Checkpoints: round trip, atomic writes, committed models against their cards, and every broken file."""

import json
import re

import pytest
import torch
from safetensors.torch import load_file, save_file
from vitric.golden import checkpoint
from vitric.golden.checkpoint import MODELS, load_float, load_state_dict, model_names, read_about, save_float
from vitric.golden.data.folder import image_folder
from vitric.golden.data.sets import digits
from vitric.golden.data.transform import EvalTransform
from vitric.golden.errors import UserError
from vitric.golden.integer.storage import load_integer
from vitric.golden.recipe import RECIPES, Recipe
from vitric.golden.spec.vit import VIT_CONFIGS
from vitric.golden.train import accuracy
from vitric.golden.vit import VisionTransformer

TINY = VIT_CONFIGS["tiny"]


@pytest.fixture
def model():
    torch.manual_seed(5)
    return VisionTransformer(TINY)


def test_round_trip(model, tmp_path):
    path = tmp_path / "model.safetensors"
    save_float(model, path, {"accuracy": 0.5})
    loaded = load_float(path)
    assert loaded.config == TINY and not loaded.training
    assert all(value.equal(loaded.state_dict()[name]) for name, value in model.state_dict().items())
    assert read_about(path) == {"accuracy": 0.5}
    first = path.read_bytes()
    save_float(model, path, {"accuracy": 0.5})
    assert path.read_bytes() == first


def test_a_broken_write_leaves_the_old_file(model, tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old")

    def fail(self, target):
        raise OSError(28, "disk full")

    monkeypatch.setattr(checkpoint.Path, "replace", fail)
    with pytest.raises(UserError, match="cannot write .*model.safetensors: disk full"):
        save_float(model, path)
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]


def test_illegal_targets(model, tmp_path):
    with pytest.raises(ValueError, match=r"must be named \*\.safetensors"):
        save_float(model, tmp_path / "model.pt")
    with pytest.raises(UserError, match="cannot write .*file/model.safetensors"):
        (tmp_path / "file").touch()
        save_float(model, tmp_path / "file" / "model.safetensors")


def test_state_dict_faults_are_listed_together(model):
    state = {name: torch.ones_like(value) for name, value in model.state_dict().items()}
    before = {name: value.clone() for name, value in model.state_dict().items()}
    del state["head.bias"]
    state["dist_token"] = torch.zeros(1, 1, 16)
    state["pos_embed"] = torch.zeros(1, 6, 16)
    state["norm.bias"][3] = float("nan")
    with pytest.raises(ValueError) as caught:
        load_state_dict(model, state)
    message = str(caught.value)
    for part in ("missing head.bias [10]", "unknown dist_token", "pos_embed must be [1, 5, 16], not [1, 6, 16]",
                 "norm.bias must hold finite floating-point numbers"):
        assert part in message
    assert message.count(";") == 3
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())


def test_foreign_file_needs_a_config(model, tmp_path):
    path = tmp_path / "timm.safetensors"
    save_file(model.state_dict(), path)
    with pytest.raises(ValueError, match="has no 'vitric' metadata; give the config"):
        load_float(path)
    assert load_float(path, config=TINY).head.weight.equal(model.head.weight)
    assert read_about(path) == {}
    with pytest.raises(ValueError, match=r"timm\.safetensors: state dict does not fit"):
        load_float(path, config=VIT_CONFIGS["digits"])


def test_config_argument_must_agree(model, tmp_path):
    path = tmp_path / "model.safetensors"
    save_float(model, path)
    with pytest.raises(ValueError, match="has the config VitConfig.*not VitConfig"):
        load_float(path, config=VIT_CONFIGS["digits"])


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ("{", "is not a JSON object"),
        ("3", "is not a JSON object"),
        ("[" * 100_000, "is not a JSON object: its values are nested too deeply"),
        (json.dumps({"about": {}}), "must be a mapping"),
        (json.dumps({"config": TINY.to_dict() | {"depth": 0}}), "depth must be between 1 and 64, not 0"),
        (json.dumps({"config": TINY.to_dict() | {"depth": 2}}), r"missing blocks\.1\.attn\.proj\.bias \[16\]"),
    ],
)
def test_bad_metadata(model, tmp_path, metadata, message):
    path = tmp_path / "model.safetensors"
    save_file(model.state_dict(), path, metadata={"vitric": metadata})
    with pytest.raises(ValueError, match=message):
        load_float(path)


def test_missing_and_broken_files(model, tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_float(path)
    with pytest.raises(ValueError, match=rf"one of the committed names \({', '.join(model_names())}\), not giant"):
        load_float("giant")
    save_float(model, path)
    for content in (path.read_bytes()[:-1], path.read_bytes()[:100], b"", b"not a checkpoint"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is not a complete safetensors file"):
            load_float(path)


@pytest.mark.parametrize(("name", "least"), [("digits", 0.975), ("tiny", 0.85)])
def test_committed_models_reach_their_cards(name, least):
    assert name in model_names()
    model, path = load_float(name), MODELS / f"{name}.safetensors"
    assert path.stat().st_size < 1_000_000
    assert model.config == VIT_CONFIGS[name]
    assert set(load_file(path)) == set(model.state_dict())
    card = path.with_suffix(".md").read_text()
    test = accuracy(model, digits("test"))
    percent = float(re.search(r"\| test accuracy \| ([0-9.]+) %", card).group(1))
    assert percent == pytest.approx(100 * test, abs=0.005)
    assert read_about(name)["test_accuracy"] == test >= least
    assert f"| {model.config.num_parameters:,} |" in card


@pytest.mark.parametrize(("name", "least", "channels"), [("fashion", 0.9, 1), ("photos", 0.8, 3)])
def test_models_whose_data_may_not_be_here_agree_with_their_cards(name, least, channels):
    """Accuracy is compared with the metadata alone."""
    model, path = load_float(name), MODELS / f"{name}.safetensors"
    assert path.stat().st_size < 4_000_000 and model.config == VIT_CONFIGS[name]
    size = model.config.image_size
    assert bool(model(torch.zeros(1, channels, size, size, dtype=torch.uint8)).isfinite().all())
    about, card = read_about(name), path.with_suffix(".md").read_text()
    assert about["test_accuracy"] >= least and about["test_images"] == 10_000
    assert f"| test accuracy | {about['test_accuracy']:.2%}".replace("%", " %") in card
    assert Recipe(**about["recipe"]) == RECIPES[name]


def test_photographs_beside_their_model():
    """Float and integer model on the committed pictures, which are of the test split."""
    model, transform = load_float("photos"), EvalTransform(image_size=32, resize=32)
    splits = [image_folder(MODELS / "photos", split, transform) for split in ("train", "test")]
    assert [len(split) for split in splits] == [64, 136]
    assert list(splits[1].classes) == read_about("photos")["labels"]
    (images, labels), = splits[1].batches(200)
    logits = model(images), load_integer(MODELS / "integer" / "photos.safetensors")(images.long())
    right = [float((one.argmax(1) == labels).float().mean()) for one in logits]
    assert min(right) >= 0.78 and abs(right[0] - right[1]) < 0.05
