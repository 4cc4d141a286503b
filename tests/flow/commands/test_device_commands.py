"""`vitric load`, `vitric infer` and `vitric program`, with a board in software at the other end."""

import json
import sys

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner
from vitric.boards import host
from vitric.compiler.compile import compile_model
from vitric.flow.cli import app
from vitric.flow.inputs import models
from vitric.flow.inputs.configs import configuration
from vitric.golden.data.sets import digits
from vitric.golden.integer.random import random_integer_vit
from vitric.golden.spec.accelerator import SPECS
from vitric.toolchain import tools

from tests.boards.software_board import SoftwareBoard

SPEC = SPECS["tiny"]


def compiled(seed, config="tiny"):
    entry = configuration(config)
    return compile_model(random_integer_vit(entry.vit, seed=seed, spec=entry.spec), entry.spec)


@pytest.fixture
def board(monkeypatch, tmp_path):
    """Return the board that the commands will open."""
    monkeypatch.chdir(tmp_path)
    one = SoftwareBoard(SPEC, model=compiled(1).stream.data, max_payload=256)

    def open_port(port, baud):
        if port != "port":
            raise host.LinkFailure(f"cannot open the serial port {port}: there is none")
        one.baud = baud
        return one

    monkeypatch.setattr(host, "SerialTransport", open_port)
    monkeypatch.setattr(models, "quantized_model", lambda config: random_integer_vit(
        configuration(config).vit, seed=1, spec=configuration(config).spec))
    return one


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, " ".join(result.output.split())


def picture(path, index=0):
    Image.fromarray(digits("test")[index][0].numpy()).save(path)
    return path


def test_load(board, tmp_path):
    other = compiled(2).stream
    other.save(tmp_path / "other.vitric")
    status, output = run("load", tmp_path / "other.vitric", "--port", "port", "--baud", 500_000)
    assert status == 0 and f"{len(other)} words are in use" in output
    assert board.model == other.data and board.baud == 500_000 and board.closed


@pytest.mark.parametrize("case", ["missing", "damaged", "spec", "capacity", "port", "silent", "refused"])
def test_load_that_cannot_be(board, tmp_path, case):
    before, path, port = board.model, tmp_path / "model.vitric", "port"
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
        board.capacity = 1000
    elif case == "port":
        port = "other"
    elif case == "silent":
        board.damage = ["drop"] * 3
    elif case == "refused":
        board.stuck = ~stream.data[0] & 0xFF
    status, output = run("load", path, "--port", port)
    assert status == 2 and messages[case] in output
    assert board.model == before


def test_infer(board, tmp_path):
    model = models.quantized_model("tiny")
    image = digits("test")[:1]
    expected = tuple(model(image)[0].tolist())
    sent = []

    def answer(columns):
        sent.append(columns)
        return expected

    board.infer = answer
    status, output = run("infer", picture(tmp_path / "0.png"), "--port", "port", "--config", "tiny", "--json", "r.json")
    assert status == 0 and "equal" in output
    assert sent == [compiled(1).input_words(image)[0].tobytes()]
    result = json.loads((tmp_path / "r.json").read_text())
    assert (result["class"], tuple(result["logits"]), result["equal"]) == (
        expected.index(max(expected)), expected, True)
    assert (result["cycles"], result["microseconds"]) == (2345, 46.9)

    board.infer = lambda columns: (*expected[:-1], expected[-1] + 1)
    status, output = run("infer", tmp_path / "0.png", "--port", "port", "--config", "tiny")
    assert status == 1 and "differ" in output

    board.model = compiled(2).stream.data  # golden does not know that model
    status, output = run("infer", tmp_path / "0.png", "--port", "port", "--config", "tiny")
    assert status == 0 and "not compared" in output


def test_infer_needs_the_board_of_the_config(board, tmp_path):
    status, output = run("infer", picture(tmp_path / "0.png"), "--port", "port", "--config", "digits")
    assert status == 2 and f"the board has the spec {SPEC.hash:#010x}, --config digits is for digits" in output


def test_infer_reports_an_error_of_the_accelerator(board, tmp_path):
    board.infer = lambda columns: None
    status, output = run("infer", picture(tmp_path / "0.png"), "--port", "port", "--config", "tiny")
    assert status == 2 and "accelerator error 5 at command 17" in output


@pytest.mark.parametrize(("pixels", "message"), [
    (np.zeros((8, 9), np.uint8), "images must have shape [count, 1, 8, 8]"),
    (np.zeros((8, 8, 3), np.uint8), "must have pixels of mode L (8 bits), not RGB"),
    (np.zeros((8, 8), bool), "must have pixels of mode L (8 bits), not 1"),
    (None, "cannot read the image"),
])
def test_infer_rejects_other_images(board, tmp_path, pixels, message):
    path = tmp_path / "image.png"
    if pixels is None:
        path.write_text("no image")
    else:
        Image.fromarray(pixels).save(path)
    status, output = run("infer", path, "--port", "port", "--config", "tiny")
    assert status == 2 and message in output
    assert board.requests == []


@pytest.fixture
def loader(monkeypatch, tmp_path):
    """Put a program in place of openFPGALoader that notes its arguments and ends with the status in ``status``."""
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "loader"
    program.write_text(f"#!{sys.executable}\nimport sys\nopen('arguments', 'w').write(' '.join(sys.argv[1:]))\n"
                       "sys.exit(int(open('status').read()))\n")
    program.chmod(0o755)
    (tmp_path / "status").write_text("0")
    tool = tools.Tool("openFPGALoader", "loading a board", False, "PATH", str(program), "1")
    monkeypatch.setattr(tools, "find", lambda name: tool)
    return tmp_path


def test_program(loader):
    folder = loader / "build" / "tiny" / "ulx3s_12f"
    folder.mkdir(parents=True)
    (folder / "top.bit").write_bytes(b"bits")
    assert run("program", "--config", "tiny", "--board", "ulx3s_12f")[0] == 0
    assert (loader / "arguments").read_text() == "-b ulx3s -m build/tiny/ulx3s_12f/top.bit"
    assert run("program", "--config", "tiny", "--board", "ulx3s_12f", "--flash")[0] == 0
    assert (loader / "arguments").read_text() == "-b ulx3s -f build/tiny/ulx3s_12f/top.bit"
    (loader / "status").write_text("3")
    status, output = run("program", "--config", "tiny", "--board", "ulx3s_12f")
    assert status == 1 and "openFPGALoader ended with status 3" in output


def test_program_that_cannot_be(loader, monkeypatch):
    status, output = run("program", "--config", "tiny")
    assert status == 2 and "run `make bitstream CONFIG=tiny BOARD=ulx3s` first" in output
    status, output = run("program", "--board", "nowhere")
    assert status == 2 and "board must be one of" in output
    status, output = run("program", "--config", "nothing")
    assert status == 2 and "config must be one of" in output
    (loader / "build" / "tiny" / "ulx3s").mkdir(parents=True)
    (loader / "build" / "tiny" / "ulx3s" / "top.bit").write_bytes(b"bits")
    missing = tools.Tool("openFPGALoader", "loading a board", False, "missing", note="install it")
    monkeypatch.setattr(tools, "find", lambda name: missing)
    status, output = run("program", "--config", "tiny")
    assert status == 2 and "openFPGALoader is needed for loading a board: install it" in output
