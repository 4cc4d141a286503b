import json

import pytest

from tests.flow.commands.stream_files import call


def test_cycles(stream_file):
    figures = json.loads(call("cycles", stream_file, "--json").stdout)
    assert figures["cycles"] > figures["beats"] > 0 and len(figures["commands"]) == 18
    title, heading, *lines = call("cycles", stream_file).output.splitlines()
    assert f"{figures['cycles']} cycles per image on tiny" in title and heading.split()[0] == "command"
    rows = [line.rsplit(None, 4) for line in lines]
    assert sum(int(row[1]) for row in rows) == 18 and sum(int(row[4]) for row in rows) == figures["beats"]
    assert sum(int(row[2]) for row in rows) == figures["commands"][-1]["done"]


def test_project(tmp_path, stream_file):
    own = tmp_path / "my-vit"
    own.mkdir()
    (own / "vitric.toml").write_text('[network]\nbase = "tiny"\n[accelerator]\nspec = "tiny"\nact_words = 300\n')
    done = call("cycles", "--project", own)
    assert done.exit_code == 0 and "my-vit: " in done.output and "cycles per image on my-vit" in done.output
    assert json.loads(call("cycles", "--project", own, "--json").stdout)["cycles"] == json.loads(
        call("cycles", stream_file, "--json").stdout)["cycles"]
    other = call("cycles", stream_file, "--project", own)
    assert other.exit_code == 2 and "not my-vit" in other.output


@pytest.mark.parametrize("arguments", [["--spec", "tiny"], ["--spec", "tiny", "--project", "tiny", "FILE"]])
def test_spec_that_says_nothing(arguments, stream_file):
    done = call("cycles", *(stream_file if word == "FILE" else word for word in arguments))
    assert done.exit_code == 2 and "--spec needs a file, and excludes --project" in done.output
