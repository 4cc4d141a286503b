import json

import pytest
from typer.testing import CliRunner
from vitric.flow.cli import app
from vitric.golden import digits, load_float
from vitric.golden.checkpoint import read_about
from vitric.golden.train import accuracy


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
])
def test_rejected(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert done.exit_code == 2 and message in " ".join(done.stderr.split())
    assert list(tmp_path.iterdir()) == []
