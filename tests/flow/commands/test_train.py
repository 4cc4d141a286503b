import gzip
import json
import shutil

import pytest
from typer.testing import CliRunner
from vitric.flow.cli import app
from vitric.flow.project.project import open_project
from vitric.flow.reports.progress import TrainingBar
from vitric.golden import digits, load_float
from vitric.golden.checkpoint import read_about
from vitric.golden.train import accuracy

from tests.flow.project.own import write_own

SMALL = ("--image-size", 12, "--embed-dim", 16, "--num-heads", 2, "--depth", 1, "--mlp-ratio", 2)


def run(*arguments):
    return CliRunner().invoke(app, ["train", *map(str, arguments)])


def test_checkpoint_card_and_figures(tmp_path):
    out, figures = tmp_path / "new" / "tiny.safetensors", tmp_path / "figures.json"
    done = run("--config", "tiny", "--epochs", 1, "--out", out, "--json", figures)
    assert done.exit_code == 0, done.output
    result, model = json.loads(figures.read_text()), load_float(out)
    assert result["test_accuracy"] == accuracy(model, digits("test")) and result["recipe"]["epochs"] == 1
    assert result["checkpoint"] == str(out) and read_about(out)["test_accuracy"] == result["test_accuracy"]
    card = out.with_suffix(".md").read_text()
    assert f"{result['test_accuracy']:.2%}".replace("%", " %") in card and "1 channel" in card
    assert sorted(path.name for path in out.parent.iterdir()) == ["tiny.md", "tiny.safetensors"]


@pytest.mark.parametrize(("arguments", "message"), [
    (["--config", "huge"], "must be one of"), (["--config", "tiny", "--epochs", 0], "epochs must be between 1"),
    (["--config", "tiny", "--out", "x.pt"], "--out must be named *.safetensors, not x.pt"),
    (["--config", "tiny", "--data", "x"], "data must be one of digits, fashion or a folder that exists, not /"),
    (["--depth", 2], "--depth needs --data without --project: a project's file says its network"),
    (["--config", "tiny", "--data", "x", "--depth", 2], "--depth needs --data without --project"),
    (["--skip-bad"], "--skip-bad needs --data"),
    (["--data", "nowhere"], "data must be one of digits, fashion or a folder that exists, not nowhere"),
    (["--config", "tiny", "--resume"], "--resume needs the state of a training that was interrupted, build/tiny/"),
    (["--config", "deit_tiny"], "config to train must be one of 'tiny', 'digits', 'fashion', 'photos', not"),
])
def test_rejected(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert done.exit_code == 2 and message in " ".join(done.stderr.split())
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_own(tmp_path)
    return tmp_path / "pictures"


def test_own_pictures_from_folder_to_project(pictures, tmp_path):
    done = run("--data", "pictures", *SMALL, "--epochs", 2, "--shift", 0, "--flip", "--json", "figures.json")
    assert done.exit_code == 0, done.output
    path, figures = tmp_path / "build" / "pictures" / "float.safetensors", json.loads(
        (tmp_path / "figures.json").read_text())
    model = load_float(path)
    assert (model.config.image_size, model.config.in_chans, model.config.num_classes) == (12, 3, 3)
    assert (figures["labels"], figures["train_images"], figures["test_images"]) == (["bird", "cat", "dog"], 12, 12)
    assert (figures["recipe"]["shift"], figures["recipe"]["flip"], figures["recipe"]["data"]) == (0, True, None)
    assert sorted(file.name for file in path.parent.iterdir()) == ["float.md", "float.safetensors"]
    words = path.with_suffix(".md").read_text().split("```")[1]
    assert "--data pictures --image-size 12 --embed-dim 16" in words
    assert "--epochs 2 --shift 0.0 --flip --seed 0 --out build/pictures/float.safetensors\n" in words
    done = CliRunner().invoke(app, ["init", "my-vit", "--weights", str(path), "--data", "pictures", "--array", "tiny"])
    assert done.exit_code == 0, done.output
    project = open_project("my-vit")
    assert project.labels == ("bird", "cat", "dog") and project.images("test").order == "checkpoint"
    assert figures["test_accuracy"] == accuracy(project.model, project.images("test"))


def test_interrupted_and_resumed_equals_one_go(pictures, tmp_path, monkeypatch):
    arguments = ["--data", "pictures", *SMALL, "--epochs", 2, "--seed", 3, "--out"]
    assert run(*arguments, "one.safetensors").exit_code == 0

    def interrupt(self, number, loss, accuracy):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrainingBar, "epoch", interrupt)
        done = run(*arguments, "two.safetensors")
    assert done.exit_code == 130 and not (tmp_path / "two.safetensors").exists()
    kept = tmp_path / "two.training.safetensors"
    again = run(*arguments, "two.safetensors")
    assert again.exit_code == 2 and "--resume goes on with it; remove it to begin anew" in again.stderr
    other = run(*arguments, "two.safetensors", "--resume", "--learning-rate", 0.5)
    assert other.exit_code == 2 and "belongs to another training: recipe learning_rate 0.001 there, 0.5" in other.stderr
    assert kept.exists() and run(*arguments, "two.safetensors", "--resume").exit_code == 0
    assert (tmp_path / "two.safetensors").read_bytes() == (tmp_path / "one.safetensors").read_bytes()
    assert not kept.exists()


def test_a_project_of_ones_own(pictures, tmp_path):
    (tmp_path / "vitric.toml").write_text("""[model]
weights = "vit.trained.safetensors"
[network]
image_size = 12
patch_size = 6
in_chans = 3
num_classes = 3
embed_dim = 16
depth = 1
num_heads = 2
[data]
source = "pictures"
labels = ["dog", "bird", "cat"]
""")
    assert run("--epochs", 1).exit_code == 0
    first = (tmp_path / "vit.trained.safetensors").read_bytes()
    assert read_about(tmp_path / "vit.trained.safetensors")["labels"] == ["dog", "bird", "cat"]
    assert open_project(None).model.config.patch_size == 6
    assert run("--epochs", 1, "--seed", 1, "--project", ".").exit_code == 0  # never over weights that are there
    assert (tmp_path / "vit.trained.safetensors").read_bytes() == first
    assert (tmp_path / "build" / "float.safetensors").read_bytes() != first
    shutil.copytree(pictures, tmp_path / "fewer")
    removed = next((tmp_path / "fewer" / "train" / "cat").iterdir())
    removed.unlink()
    done = run("--project", ".", "--data", "fewer", "--epochs", 1, "--out", "other.safetensors", "--json", "f.json")
    assert done.exit_code == 0, done.output
    figures = json.loads((tmp_path / "f.json").read_text())
    assert (figures["train_images"], figures["data"], figures["labels"]) == (11, "fewer", ["dog", "bird", "cat"])
    assert "--project . --data fewer --epochs 1" in (tmp_path / "other.md").read_text()


def test_idx_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, split in (("train", "train"), ("t10k", "test")):
        images, labels = digits(split)[:30, 0], digits(split).labels[:30] % 3
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            shape = b"".join(size.to_bytes(4, "big") for size in array.shape)
            content = bytes([0, 0, 8, array.dim()]) + shape + bytes(array.flatten().tolist())
            (tmp_path / f"{name}-{kind}-ubyte.gz").write_bytes(gzip.compress(content))
    done = run("--data", ".", "--epochs", 1, "--depth", 1, "--out", "a.safetensors")
    assert done.exit_code == 0, done.output
    config = load_float(tmp_path / "a.safetensors").config
    assert (config.image_size, config.in_chans, config.num_classes, config.depth) == (8, 1, 3, 1)
    wrong = run("--data", ".", "--epochs", 1, "--image-size", 12)
    assert wrong.exit_code == 2 and "needs a config with image_size 8" in wrong.stderr


def test_folders_that_cannot_be_trained_on(pictures):
    (pictures / "val" / "cat" / "0.png").write_bytes(b"no image")
    (pictures / "train" / "cat" / "0.png").write_bytes(b"no image")
    bad = run("--data", "pictures", *SMALL, "--epochs", 1)
    assert bad.exit_code == 2 and "cannot be read as images: cat/0.png" in bad.stderr
    assert run("--data", "pictures", *SMALL, "--epochs", 1, "--skip-bad").exit_code == 0
    (pictures / "val" / "cat").rename(pictures / "val" / "cow")
    classes = run("--data", "pictures", *SMALL)
    assert classes.exit_code == 2 and "only one of them has cat, cow" in classes.stderr
    shutil.rmtree(pictures / "train")
    alone = run("--data", "pictures", *SMALL)
    assert alone.exit_code == 2 and "pictures must have train and val, to train and to measure on" in alone.stderr
