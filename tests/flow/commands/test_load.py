import pytest

from tests.flow.commands.board import compiled, run


def test_load(board, tmp_path):
    other = compiled(2).stream
    other.save(tmp_path / "other.vitric")
    status, output = run("load", tmp_path / "other.vitric", "--port", "port", "--baud", 500_000)
    assert status == 0 and f"{len(other)} words are in use" in output
    assert board.model == other.data and board.baud == 500_000 and board.closed


def test_load_the_model_of_a_project(board, tmp_path):
    board.model = b""
    status, output = run("load", "--project", "tiny", "--port", "port")
    assert status == 0 and f"tiny: {len(compiled(1).stream)} words are in use" in output
    assert board.model == compiled(1).stream.data
    status, output = run("load", "--project", "digits", "--port", "port")
    assert status == 2 and "digits" in output and board.model == compiled(1).stream.data


@pytest.mark.parametrize("case", ["missing", "damaged", "spec", "capacity", "port", "silent", "refused"])
def test_load_that_cannot_be(board, tmp_path, case):
    path, port = tmp_path / "model.vitric", "port"
    stream = compiled(2, "digits" if case == "spec" else "tiny").stream
    if case != "missing":
        stream.save(path)
    messages = {
        "missing": "cannot read", "damaged": "model.vitric", "spec": "is for the spec digits",
        "capacity": "room for 1000", "port": "cannot open the serial port other",
        "silent": "INFO failed 3 times: no answer", "refused": "bad model",
    }
    if case == "damaged":
        path.write_bytes(stream.data[:-8] + bytes(8))
    elif case == "capacity":
        board.capacity, board.model = 1000, b""
    elif case == "port":
        port = "other"
    elif case == "silent":
        board.damage = ["drop"] * 3
    elif case == "refused":
        board.stuck = ~stream.data[0] & 0xFF
    before = board.model
    status, output = run("load", path, "--port", port)
    assert status == 2 and messages[case] in output
    assert board.model == before
