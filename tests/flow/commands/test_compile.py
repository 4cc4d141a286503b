import json

import pytest
from vitric.compiler.stream import ModelStream
from vitric.golden.integer.random import random_integer_vit
from vitric.golden.integer.storage import save_integer
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.spec.vit import VIT_CONFIGS

from tests.flow.commands.stream_files import call


def test_figures(model_file, tmp_path):
    out = tmp_path / "new" / "tiny.vtrc"
    done = call("compile", "--model", model_file, "--spec", "tiny", "-o", out, "--json", "-")
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    stream = ModelStream.load(out)
    assert figures["bytes"] == out.stat().st_size == len(stream.data)
    assert figures["command_count"] == len(stream.commands()) == 18
    assert 0 < figures["act_words_used"] <= SPECS["tiny"].act_words


@pytest.mark.parametrize(("model", "spec", "out", "message"), [
    ("{model}", "huge", "x", f"--spec must be one of {', '.join(SPECS)}, not 'huge'"),
    ("no.safetensors", "tiny", "x", "does not exist"), ("{model}", "tiny", "{model}/x", "cannot write"),
])
def test_errors_are_one_line_and_status_2(model, spec, out, message, model_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, out = model.format(model=model_file), out.format(model=model_file)
    done = call("compile", "--model", model, "--spec", spec, "-o", out)
    assert done.exit_code == 2 and message in " ".join(done.stderr.split()), done.output
    assert not list(tmp_path.iterdir())


def test_a_model_that_does_not_fit(tmp_path):
    path = tmp_path / "digits.safetensors"
    save_integer(random_integer_vit(VIT_CONFIGS["digits"], seed=1, spec=SPECS["tiny"]), path)
    done = call("compile", "--model", path, "--spec", "tiny", "-o", tmp_path / "x")
    assert done.exit_code == 2 and "tokens needs max_tokens 17, not 8" in done.stderr.replace("\n", " ")
