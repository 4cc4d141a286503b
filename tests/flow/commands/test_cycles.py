import json

from tests.flow.commands.stream_files import call


def test_cycles(stream_file):
    figures = json.loads(call("cycles", stream_file, "--json").stdout)
    assert figures["cycles"] > figures["beats"] > 0 and len(figures["commands"]) == 18
    title, heading, *lines = call("cycles", stream_file).output.splitlines()
    assert f"{figures['cycles']} cycles per image on tiny" in title and heading.split()[0] == "command"
    rows = [line.rsplit(None, 4) for line in lines]
    assert sum(int(row[1]) for row in rows) == 18 and sum(int(row[4]) for row in rows) == figures["beats"]
    assert sum(int(row[2]) for row in rows) == figures["commands"][-1]["done"]
