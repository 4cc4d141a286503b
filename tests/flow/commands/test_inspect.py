import json

import pytest
from typer.testing import CliRunner
from vitric.compiler.stream import ModelStream
from vitric.flow.cli import app
from vitric.golden.integer.random import random_integer_vit
from vitric.golden.integer.storage import save_integer
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.spec.vit import VIT_CONFIGS


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "tiny.safetensors"
    save_integer(random_integer_vit(VIT_CONFIGS["tiny"], seed=1, spec=SPECS["tiny"]), path)
    return path


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_compile_and_inspect(model_file, tmp_path):
    out = tmp_path / "new" / "tiny.vtrc"
    done = call("compile", "--model", model_file, "--config", "tiny", "-o", out, "--json", "-")
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    stream = ModelStream.load(out)
    assert figures["bytes"] == out.stat().st_size == len(stream.data)
    assert figures["command_count"] == len(stream.commands()) == 18
    assert 0 < figures["act_words_used"] <= SPECS["tiny"].act_words

    shown = call("inspect", out, "--json")
    rows = json.loads(shown.stdout)["commands"]
    assert [row["index"] for row in rows] == list(range(1, 19))
    assert [row["target"] for row in rows if row["opcode"] == "MATMUL"] == [
        "RESIDUAL", "CODES", "CODES", "CODES", "SOFTMAX", "SOFTMAX", "CODES", "CODES", "RESIDUAL", "CODES", "RESIDUAL",
        "LOGITS"]
    assert rows[6]["flags"] == ["TRANSPOSE", "SIGNED"]
    assert sum(row["words"] for row in rows) < json.loads(shown.stdout)["words"]
    title, heading, *lines = call("inspect", out).output.splitlines()
    assert title.endswith("tiny.vtrc: 4964 bytes, 1241 words of 32 bits for tiny")
    assert heading.split()[:5] == ["#", "command", "flags", "planes", "waits"]
    assert len(lines) == 18 and len({len(line) for line in lines}) == 1
    assert " ".join(lines[7].split()) == "8 MATMUL SOFTMAX weights_act key_bias 2 5,6 3 1 3 2 1 20"


def test_cycles(model_file, tmp_path):
    out = tmp_path / "tiny.vtrc"
    assert call("compile", "--model", model_file, "--config", "tiny", "-o", out).exit_code == 0
    figures = json.loads(call("cycles", out, "--json").stdout)
    assert figures["cycles"] > figures["beats"] > 0 and len(figures["commands"]) == 18
    title, heading, *lines = call("cycles", out).output.splitlines()
    assert f"{figures['cycles']} cycles per image on tiny" in title and heading.split()[0] == "command"
    rows = [line.rsplit(None, 4) for line in lines]
    assert sum(int(row[1]) for row in rows) == 18 and sum(int(row[4]) for row in rows) == figures["beats"]
    assert sum(int(row[2]) for row in rows) == figures["commands"][-1]["done"]


def test_errors_are_one_line_and_status_2(model_file, tmp_path):
    out = tmp_path / "x.vtrc"
    for arguments, message in [
        (["compile", "--model", model_file, "--config", "huge", "-o", out], "unknown accelerator 'huge'"),
        (["compile", "--model", tmp_path / "no.safetensors", "--config", "tiny", "-o", out], "does not exist"),
        (["compile", "--model", model_file, "--config", "tiny", "-o", model_file / "x"], "cannot write"),
        (["inspect", out], "cannot read"),
        (["inspect", model_file], "not a model stream"),
        (["inspect", model_file, "--config", "nothing"], "unknown accelerator 'nothing'"),
    ]:
        done = call(*arguments)
        assert done.exit_code == 2 and message in done.stderr, done.output
        assert not out.exists()


def test_a_model_that_does_not_fit(tmp_path):
    path = tmp_path / "digits.safetensors"
    save_integer(random_integer_vit(VIT_CONFIGS["digits"], seed=1, spec=SPECS["tiny"]), path)
    done = call("compile", "--model", path, "--config", "tiny", "-o", tmp_path / "x")
    assert done.exit_code == 2 and "tokens needs max_tokens 17, not 8" in done.stderr.replace("\n", " ")
