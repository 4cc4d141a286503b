import json

import pytest
from vitric.golden.spec.accelerator import SPECS

from tests.flow.commands.stream_files import call


def test_commands(stream_file):
    shown = call("inspect", stream_file, "--json")
    rows = json.loads(shown.stdout)["commands"]
    assert [row["index"] for row in rows] == list(range(1, 19))
    assert [row["target"] for row in rows if row["opcode"] == "MATMUL"] == [
        "RESIDUAL", "CODES", "CODES", "CODES", "SOFTMAX", "SOFTMAX", "CODES", "CODES", "RESIDUAL", "CODES", "RESIDUAL",
        "LOGITS"]
    assert rows[6]["flags"] == ["TRANSPOSE", "SIGNED"]
    assert sum(row["words"] for row in rows) < json.loads(shown.stdout)["words"]
    title, heading, *lines = call("inspect", stream_file).output.splitlines()
    assert title.endswith("tiny.vtrc: 4964 bytes, 1241 words of 32 bits for tiny")
    assert heading.split()[:5] == ["#", "command", "flags", "planes", "waits"]
    assert len(lines) == 18 and len({len(line) for line in lines}) == 1
    assert " ".join(lines[7].split()) == "8 MATMUL SOFTMAX weights_act key_bias 2 5,6 1 1 3 2 1 20"


@pytest.mark.parametrize(("arguments", "message"), [
    (["nowhere.vtrc"], "cannot read"), (["{model}"], "not a model stream"),
    (["{model}", "--spec", "nothing"], f"--spec must be one of {', '.join(SPECS)}, not 'nothing'"),
])
def test_errors_are_one_line_and_status_2(arguments, message, model_file):
    done = call("inspect", *(argument.format(model=model_file) for argument in arguments))
    assert done.exit_code == 2 and message in " ".join(done.stderr.split()), done.output
