"""The board as a machine; the simulation is in ``test_answers.py``."""

import pytest
import torch
from vitric.flow.demo.answers import Answers
from vitric.flow.demo.machines import board_machine
from vitric.flow.project import integer
from vitric.flow.project.project import open_project
from vitric.golden.data.sets import digits
from vitric.golden.errors import UserError

from tests.flow.commands.board import board, compiled

__all__ = ["board"]


def test_a_board_answers(board):
    project = open_project("tiny")
    model, image = integer.integer_model(project), digits("test")[0].to(torch.uint8)
    expected = model(image[None])[0].tolist()
    board.infer = lambda columns: tuple(expected)
    answers = Answers(project=project, model=model, compiled=compiled(1), clock_mhz=50.0)
    with board_machine(project, compiled(1), "port", 1_000_000) as machine:
        found = answers.answer(machine, image, [])
        assert machine.cycles() == 0
    assert found["equal"] and found["machine"] == "board at port" and found["cycles"] == 2345
    assert found["compared"] is found["engines"] is None


def test_a_board_with_another_model_is_refused(board):
    project = open_project("tiny")
    with pytest.raises(UserError, match="holds another model than tiny; `vitric load --project tiny --port port`"), \
            board_machine(project, compiled(2), "port", 1_000_000):
        raise AssertionError
