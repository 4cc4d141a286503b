"""`vitric prune`: checkpoint, figures, and what heads save on the hardware."""

import json

import pytest
from typer.testing import CliRunner
from vitric.flow.cli import app
from vitric.flow.commands.prune import parse_n_m
from vitric.flow.reports.pruning import float_row, integer_row
from vitric.golden import digits, load_float
from vitric.golden.checkpoint import read_about
from vitric.golden.data.images import ImageData
from vitric.golden.errors import UserError
from vitric.golden.integer.storage import load_integer
from vitric.golden.pruning.masks import pruned_share
from vitric.golden.pruning.prune import Pruning, prune, recovery_recipe
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.train import accuracy

TEST = digits("test")
FEW = ImageData("train", digits("train").images[:64], digits("train").labels[:64])


def run(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


def test_command_writes_checkpoint_and_figures(tmp_path):
    out, figures, integer = tmp_path / "sub" / "p.safetensors", tmp_path / "p.json", tmp_path / "q.safetensors"
    done = run("prune", "--config", "tiny", "--n-m", "2:4", "--heads", 0.5, "--epochs", 2, "--importance", "activation",
               "--out", out, "--json", figures)
    assert done.exit_code == 0, done.output
    result, model = json.loads(figures.read_text()), load_float(out)
    assert result["epochs"] == 2 and result["n_m"] == "2:4" and result["heads"] == 0.5
    dense, dense4, control, control4, thin, thin4 = result["rows"]
    assert [row["pruning"] for row in result["rows"]] == ["none"] * 4 + ["2:4 + heads 50 %"] * 2
    assert [row["w_bits"] for row in result["rows"]] == [32, 4] * 3
    assert [row["more_epochs"] for row in result["rows"]] == [0, 0, 2, 2, 2, 2]
    assert control["bytes"] == dense["bytes"]
    assert (control4["bytes"], control4["cycles"]) == (dense4["bytes"], dense4["cycles"])
    assert thin["accuracy_float"] == accuracy(model, TEST) > result["accuracy_before_training"]
    assert dense["bytes"] > 1.7 * thin["bytes"] and dense4["bytes"] > thin4["bytes"]
    assert thin4["cycles"] < dense4["cycles"] and thin4["stream_bytes"] < dense4["stream_bytes"]
    assert (dense4["heads"], thin4["heads"], dense["cycles"]) == ([2], [1], None)
    assert pruned_share(model) > 0.5 and read_about(out)["rows"] == result["rows"]
    assert "2:4 + heads" in done.output and f"{thin4['accuracy_integer']:.2%}" in done.output

    done = run("quantize", "--weights", out, "--data", "digits", "--out", integer, "--json", figures)
    assert done.exit_code == 0, done.output
    model = load_integer(integer)
    assert model.blocks[0].attn.num_heads == 1 and len(model.blocks[0].attn.q.weight) == 8
    assert json.loads(figures.read_text())["accuracy"]["integer"] == accuracy(model, TEST) == thin4["accuracy_integer"]


def test_weights_save_bytes_and_heads_save_cycles():
    """N:M leaves the stream and the cycles as they are; the bytes of the packed model are what it saves."""
    recipe = recovery_recipe("tiny", 1)
    dense, spec = load_float("tiny"), SPECS["tiny"]

    def row(pruning):
        model = prune(dense, pruning, FEW, recipe)
        return integer_row(model, pruning, FEW.images, TEST, spec, 4, 4, method="minmax")

    plain, weights, heads = (row(Pruning(*what)) for what in ((None, 0.0), ((1, 4), 0.0), (None, 0.5)))
    assert (plain["cycles"], plain["stream_bytes"]) == (weights["cycles"], weights["stream_bytes"])
    assert weights["bytes"] < plain["bytes"] and heads["bytes"] < plain["bytes"]
    assert heads["cycles"] < 0.95 * plain["cycles"] and heads["stream_bytes"] < plain["stream_bytes"]
    assert float_row(dense, Pruning(), TEST)["accuracy_float"] == accuracy(dense, TEST)


def test_ratios():
    assert parse_n_m("2:4") == (2, 4) and Pruning((1, 4)).label == "1:4" and Pruning().label == "none"
    assert Pruning(None, 0.25).label == "heads 25 %"
    with pytest.raises(UserError, match="--n-m must be N:M, for example 2:4, not 2/4"):
        parse_n_m("2/4")


@pytest.mark.parametrize("arguments,message", [
    ([], "there is nothing to prune: give --n-m, --heads or both"),
    (["--n-m", "4:4"], "n must be between 1 and 3, not 4"),
    (["--n-m", "2:5"], "m must divide the 16 inputs of blocks.0.attn.qkv, not 5"),
    (["--n-m", "2"], "--n-m must be N:M"),
    (["--heads", "0.9"], "heads must be a share between 0 and 0.5"),
    (["--heads", "-1"], "--heads must be between 0 and 1, not -1"),
    (["--heads", "0.5", "--importance", "luck", "--n-m", "2:4"], "importance must be one of"),
    (["--heads", "0.5", "--epochs", "0"], "epochs must be between 1 and 10000, not 0"),
    (["--heads", "0.5", "--config", "huge"], "must be one of"),
    (["--heads", "0.5", "--config", "deit_tiny_block"], "deit_tiny_block has random weights"),
    (["--heads", "0.5", "--out", "x.pt"], "--out must be named *.safetensors, not x.pt"),
])
def test_command_rejects(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run("prune", "--config", "tiny", *arguments)
    assert done.exit_code == 2 and message in done.stderr
    assert list(tmp_path.iterdir()) == []
