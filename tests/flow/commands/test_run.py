import json

import pytest
from PIL import Image
from typer.testing import CliRunner
from vitric.flow.cli import app
from vitric.flow.project.integer import integer_model
from vitric.flow.project.project import open_project
from vitric.golden import digits

from tests.flow.project.own import write_own


def run(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_samples_are_what_the_model_sees(folder):
    done = run("samples", "--project", "tiny", "--count", 4, "--json", "-")
    assert done.exit_code == 0, done.output
    written = json.loads(done.stdout)["images"]
    assert [one["class"] for one in written] == digits("test").labels[:4].tolist()
    done = run("run", "--project", "tiny", *(one["file"] for one in written), "--json", "figures.json")
    assert done.exit_code == 0, done.output
    figures = json.loads((folder / "figures.json").read_text())
    logits = integer_model(open_project("tiny"))(digits("test")[:4])
    for result, row in zip(figures["images"], logits, strict=True):
        assert result["best"][0]["class"] == int(row.argmax()) and result["best"][0]["logit"] == int(row.max())
        assert 0 < sum(one["probability"] for one in result["best"]) <= 1.000005 and len(result["best"]) == 5
    with Image.open(folder / "build" / "tiny" / "run.png") as picture:
        assert picture.format == "PNG"


def test_pictures_of_ones_own(folder):
    """In the hardware, too: ``tests/test_whole_way.py``, which has built it."""
    write_own(folder)
    assert run("init", "mine", "--weights", "vit.safetensors", "--data", "pictures", "--heads", 2, "--array",
               "tiny").exit_code == 0
    text = (folder / "mine" / "vitric.toml").read_text()
    said = 'labels = ["bird", "cat", "dog"]\n\n[quantization]'
    (folder / "mine" / "vitric.toml").write_text(text.replace("[quantization]", said))
    Image.new("RGBA", (30, 20), (9, 90, 200, 100)).save(folder / "clear.png")
    done = run("run", "--project", "mine", "clear.png", "pictures/val/dog/1.png", "--out", "x.png", "--json", "-")
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    clear, dog = figures["images"]
    assert clear["notes"] == ["put on white where it is transparent"]
    assert {one["label"] for one in dog["best"]} == {"bird", "cat", "dog"} and (folder / "x.png").is_file()


@pytest.mark.parametrize(("arguments", "message"), [
    (["none.png"], "cannot read none.png: it is no file"),
    (["broken.png"], "broken.png cannot be read as an image"),
    (["broken.png", "--out", "x.jpg"], "--out must be named *.png, not x.jpg"),
    (["broken.png", "--project", "nowhere"], "--project must be one of"),
])
def test_what_cannot_be(folder, arguments, message):
    (folder / "broken.png").write_text("no picture")
    done = run("run", *arguments)
    assert done.exit_code == 2 and message in done.stderr and done.stderr.count("\n") == 1
    assert [path.name for path in folder.iterdir()] == ["broken.png"]
