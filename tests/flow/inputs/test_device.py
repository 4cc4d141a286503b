"""`vitric infer` and `vitric load` at a line and a board on which everything can happen."""

import random

import pytest
from typer.testing import CliRunner
from vitric.boards import host
from vitric.flow.cli import app
from vitric.flow.inputs.device import open_device
from vitric.flow.project import integer
from vitric.flow.project.project import open_project
from vitric.golden.data.sets import digits
from vitric.golden.errors import UserError

from tests.boards.hostile import Hostile
from tests.flow.commands.board import SPEC, board, compiled, picture, run

__all__ = ["board"]  # a fixture

ALL = Hostile.LINE + Hostile.BOARD + Hostile.END


@pytest.mark.parametrize("command", ["infer", "load"])
def test_commands_end_in_one_line(board, monkeypatch, tmp_path, command):
    model = integer.integer_model(open_project("tiny"))
    monkeypatch.setattr(integer, "integer_model", lambda project: model)
    logits = tuple(model(digits("test")[:1])[0].tolist())
    board.infer = lambda columns: logits
    picture(tmp_path / "0.png")
    compiled(2).stream.save(tmp_path / "other.vitric")
    arguments = {"infer": ("0.png", "--config", "tiny"), "load": ("other.vitric",)}[command]
    seen = set()
    for seed in range(60):
        rng = random.Random(seed)
        line = Hostile(board, rng, (*ALL, *["fine"] * rng.choice((20, 200))))
        monkeypatch.setattr(host, "SerialTransport", lambda port, baud, line=line: line)
        result = CliRunner().invoke(app, [command, *arguments, "--port", "port"])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        seen.add(result.exit_code)
        if result.exit_code == 2:
            assert result.output.startswith("vitric: port: ") and result.output.count("vitric: ") == 1
    assert seen == {0, 2}


@pytest.mark.parametrize(("fields", "message"), [
    ({"rows": SPEC.rows * 2}, "rows of the board must be 2, as its spec tiny has it, not 4"),
    ({"clock_hz": 0}, "clock_hz must be between 1 and 4294967295, not 0"),
    ({"max_payload": 33}, "an image must be columns of 2 bytes, at most 33 bytes in all, not"),
])
def test_a_board_that_contradicts_itself(board, tmp_path, fields, message):
    board.fields = fields
    status, output = run("infer", picture(tmp_path / "0.png"), "--port", "port", "--config", "tiny")
    assert status == 2 and output.startswith("vitric: port: ") and message in output


@pytest.mark.parametrize("baud", [0, -1, 1199, 12_000_001, 10**30])
def test_rejected_baud(baud):
    with pytest.raises(UserError, match="baud must be between 1200 and 12000000, not"), open_device("no/such", baud):
        raise AssertionError("was opened")


def test_the_line_decides_how_long_an_answer_may_take(board):
    board.damage = ["drop"] * 3
    with pytest.raises(UserError, match="port: INFO failed 3 times: no answer"), open_device("port", 9600) as device:
        device.info()
    assert 3 * 22 < board.now < 3 * 23
