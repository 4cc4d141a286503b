"""`vitric quantize` on checkpoints and image folders of the user, and configurations whose files are not there."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from typer.testing import CliRunner
from vitric.flow.cli import app
from vitric.flow.project.images import test_images
from vitric.flow.project.integer import integer_model
from vitric.flow.project.project import open_project
from vitric.flow.project.workload import open_workload
from vitric.golden.data import idx
from vitric.golden.errors import ModelWarning, UserError
from vitric.golden.integer.storage import load_integer
from vitric.golden.spec.vit import VitConfig
from vitric.golden.vit import VisionTransformer

CLASSES = 100
CONFIG = VitConfig(image_size=16, patch_size=8, in_chans=3, num_classes=CLASSES, embed_dim=64, depth=1, num_heads=1,
                   mlp_ratio=1.0, distilled=True)


def run(*arguments):
    return CliRunner().invoke(app, ["quantize", *map(str, arguments)])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a folder with a distilled DeiT of random weights, ``deit.safetensors``, and ``images`` of 100 classes."""
    root = tmp_path_factory.mktemp("files")
    torch.manual_seed(3)
    model = VisionTransformer(CONFIG)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    save_file(model.state_dict(), root / "deit.safetensors")
    noise = np.random.default_rng(1)
    for part, count in (("train", 1), ("val", 2)):
        for label in range(CLASSES):
            folder = root / "images" / part / f"n{label:04}"
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = noise.integers(0, 256, (20, 24, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    (root / "images" / "train" / "n0007" / "0.png").write_bytes(b"broken")
    (root / "images" / "val" / "n0003" / "1.png").write_bytes(b"")
    return root


def test_checkpoint_and_image_folder(files, tmp_path):
    out, figures = tmp_path / "model.safetensors", tmp_path / "figures.json"
    done = run("--weights", files / "deit.safetensors", "--data", files / "images", "--calibration", 60, "--method",
               "ptq4vit", "--w-bits", 8, "--a-bits", 8, "--skip-bad", "--test", 200, "--out", out, "--json", figures)
    assert done.exit_code == 0, done.output
    result = json.loads(figures.read_text())
    assert result["config"] == "deit" and result["data"] == str(files / "images") and result["calibration_seed"] is None
    assert result["test_images"] == 199 and "n0003/1.png" in result["skipped_files"]
    assert set(result["skipped_files"]) <= {"n0003/1.png", "n0007/0.png"}
    assert "n0003/1.png" in done.output and "the pixels' statistics of ImageNet" in done.output
    assert result["accuracy"].keys() == result["accuracy_top5"].keys() == {"float", "simulated", "integer"}
    assert result["accuracy_top5"]["float"] >= result["accuracy"]["float"]
    assert f"{result['accuracy_top5']['integer']:.2%} in the first five" in done.output
    assert result["logit_snr_db"] > 15
    model = load_integer(out)
    assert model.config.distilled and model.info["calibration_images"] == "60" and model.head.weight.shape == (100, 128)


def test_bad_images_end_the_command(files, tmp_path):
    arguments = ["--weights", files / "deit.safetensors", "--data", files / "images", "--out",
                 tmp_path / "model.safetensors", "--a-bits", 8, "--w-bits", 8]
    done = run(*arguments, "--calibration", 100)
    assert done.exit_code == 2 and "cannot be read as images: n0007/0.png; skip_bad (--skip-bad)" in done.stderr
    done = run(*arguments, "--calibration", 101)
    assert "--calibration must be between 1 and 100, not 101" in done.stderr
    done = run(*arguments, "--calibration", 100, "--skip-bad")
    assert "must have 100 images that can be read, not 99 (1 files cannot)" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_calibration_images_are_drawn(files):
    said = {"data": {"source": str(files / "images"), "skip_bad": True}}
    work = open_workload(None, files / "deit.safetensors", said)
    first, others = work.calibration(20, None, 30)
    assert len(first) == 20 and len(others) == 30
    drawn, _ = work.calibration(20, 5, 30)
    assert drawn.equal(work.calibration(20, 5, 30)[0]) and not drawn.equal(first)
    assert not drawn.equal(work.calibration(20, 6, 30)[0])
    for count in (0, 101):
        with pytest.raises(UserError, match=f"--calibration must be between 1 and 100, not {count}"):
            work.calibration(count, None, 30)
    everything = work.train.take(99)
    assert sorted(map(bytes, work.calibration(99, 5, 0)[0].numpy())) == sorted(map(bytes, everything.numpy()))  # once
    digits = open_workload("tiny", None, {})
    images, others = digits.calibration(64, None, 0)
    assert not digits.calibration(64, 1, 0)[0].equal(images)
    assert images.equal(digits.train[:64]) and others.equal(digits.train[64:])
    assert not set(map(bytes, others[:, 0].flatten(1).numpy())) & set(map(bytes, images[:, 0].flatten(1).numpy()))


def test_classes_must_be_the_models(files, tmp_path):
    folder = tmp_path / "two"
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for number in range(10):
            Image.fromarray(np.full((16, 16, 3), number, dtype=np.uint8)).save(folder / name / f"{number}.png")
    arguments = ["--weights", files / "deit.safetensors", "--data", folder, "--calibration", 2, "--out",
                 tmp_path / "model.safetensors", "--a-bits", 8, "--w-bits", 8, "--json", tmp_path / "figures.json"]
    done = run(*arguments)
    assert done.exit_code == 2 and "2 class folders, the model has 100 classes" in done.stderr
    done = run(*arguments, "--test", 0)
    assert done.exit_code == 0, done.output
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["accuracy"] == {"float": None, "simulated": None, "integer": None} and figures["test_images"] == 0
    assert figures["accuracy_top5"] is None and figures["logit_snr_db"] is None


@pytest.fixture
def numbered(tmp_path):
    """Return a folder with a checkpoint of 12 classes, and ``images`` in the class folders 0 to 11."""
    torch.manual_seed(3)
    save_file(VisionTransformer(replace(CONFIG, num_classes=12)).state_dict(), tmp_path / "vit.safetensors")
    for label in range(12):
        (tmp_path / "images" / str(label)).mkdir(parents=True)
        for number in range(2):
            Image.new("RGB", (16, 16), (20 * label,) * 3).save(tmp_path / "images" / str(label) / f"{number}.png")
    return tmp_path


def labels_of(work):
    """Return the class of each class folder, read off its images' colour."""
    images, labels = next(work.test.batches(50))
    return {int(image[0, 0, 0]) // 20: int(label) for image, label in zip(images, labels, strict=True)}


def open_numbered(folder, order=None):
    return open_workload(None, folder / "vit.safetensors", {
        "data": {"source": str(folder / "images"), "class_order": order}})


def test_class_folders_of_a_timm_checkpoint_are_in_natural_order(numbered):
    with pytest.warns(ModelWarning, match=r"are numbered in natural order, 0, 1, 2, 3, …; --class-order natural \("):
        work = open_numbered(numbered)
    assert labels_of(work) == {label: label for label in range(12)} and work.test.order == "natural"
    assert work.test.classes == tuple(str(label) for label in range(12))
    assert labels_of(open_numbered(numbered, "lexical"))[10] == 2
    with pytest.raises(UserError, match="must be one of natural, lexical, not checkpoint: it has no labels"):
        open_numbered(numbered, "checkpoint")


def test_class_folders_are_numbered_by_the_checkpoints_labels(numbered):
    names = {str(label): f"{11 - label}" for label in range(12)}
    (numbered / "config.json").write_text(json.dumps({"id2label": names}))
    work = open_numbered(numbered)
    assert labels_of(work) == {label: 11 - label for label in range(12)}
    assert work.test.order == "checkpoint"
    (numbered / "config.json").write_text(json.dumps({"label_names": [f"class {label}" for label in range(12)]}))
    assert labels_of(open_numbered(numbered, "checkpoint")) == {label: label for label in range(12)}  # by number
    (numbered / "images" / "0").rename(numbered / "images" / "zero")
    with pytest.warns(ModelWarning, match="…; the checkpoint's labels do not name all of them; --class-order"):
        assert open_numbered(numbered).test.order == "natural"
    with pytest.raises(UserError, match="the checkpoint's labels must name every class folder, not all but zero"):
        open_numbered(numbered, "checkpoint")


def test_the_command_warns_of_the_order_at_once(numbered, tmp_path):
    arguments = ["--weights", numbered / "vit.safetensors", "--data", numbered / "images", "--w-bits", 8, "--a-bits", 8,
                 "--calibration", 2, "--out", tmp_path / "model.safetensors", "--json", tmp_path / "figures.json"]
    done = run(*arguments)
    assert done.exit_code == 0 and done.stderr.count("warning: class folders are numbered in natural order") == 1
    assert json.loads((tmp_path / "figures.json").read_text())["class_order"] == "natural"
    done = run(*arguments, "--class-order", "lexical")
    assert "warning" not in done.stderr
    assert json.loads((tmp_path / "figures.json").read_text())["class_order"] == "lexical"


@pytest.mark.parametrize(("arguments", "message"), [
    (["--class-order", "sorted"], "--class-order must be one of checkpoint, natural, lexical, not 'sorted'"),
    (["--config", "tiny", "--class-order", "natural"], "class order belongs to a folder of images; the classes of di"),
    (["--weights", "none.safetensors", "--data", "digits"], "checkpoint none.safetensors does not exist"),
    (["--weights", "none.safetensors"], "--weights needs --data"),
    (["--weights", "none.onnx", "--data", "digits"], "checkpoint none.onnx does not exist"),
    (["--config", "tiny", "--statistics", "half"], "--heads, --statistics and --image-size belong to --weights"),
])
def test_rejected_options(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert done.exit_code == 2 and message in done.stderr


def test_images_of_another_shape(files, tmp_path):
    done = run("--weights", files / "deit.safetensors", "--data", "digits", "--out", tmp_path / "model.safetensors")
    assert done.exit_code == 2 and "calibration: images must have shape [count, 3, 16, 16]" in done.stderr


def test_fashion_without_its_files(tmp_path, monkeypatch):
    monkeypatch.setattr(idx, "FASHION_FOLDERS", ("VITRIC_FASHION", str(tmp_path / "none")))
    idx.fashion.cache_clear()
    with pytest.raises(UserError, match="install Debian's package dataset-fashion-mnist, or set VITRIC_FASHION"):
        test_images(open_project("fashion"), 1, seed=1)
    fashion = open_project("fashion").changed({"model": {"weights": str(tmp_path / "none.safetensors")}})
    for attempt in (lambda: integer_model(fashion, method="minmax"), lambda: fashion.model):
        with pytest.raises(UserError, match=r"none\.safetensors of fashion do not exist; `vitric train --project fash"):
            attempt()
