"""What the tests of commands that talk to a board share: a board in software at the other end of the line."""

import sys

import pytest
from PIL import Image
from typer.testing import CliRunner
from vitric.boards import host
from vitric.compiler.compile import compile_model
from vitric.flow.cli import app
from vitric.flow.project import integer
from vitric.flow.project.project import open_project
from vitric.golden.data.sets import digits
from vitric.golden.integer.random import random_integer_vit
from vitric.golden.spec.accelerator import SPECS
from vitric.toolchain import tools

from tests.boards.software_board import SoftwareBoard

SPEC = SPECS["tiny"]


def compiled(seed, config="tiny"):
    """Return a random model of a configuration, compiled."""
    entry = open_project(config)
    return compile_model(random_integer_vit(entry.vit, seed=seed, spec=entry.spec), entry.spec)


@pytest.fixture
def board(monkeypatch, tmp_path):
    """Return the board that the commands will open."""
    monkeypatch.chdir(tmp_path)
    one = SoftwareBoard(SPEC, model=compiled(1).stream.data, max_payload=256)

    def open_port(port, baud):
        if port != "port":
            raise host.LinkFailure(f"cannot open the serial port {port}: there is none")
        one.baud = one.line_baud = one.slowest = baud
        return one

    monkeypatch.setattr(host, "SerialTransport", open_port)
    monkeypatch.setattr(integer, "integer_model", lambda project: random_integer_vit(
        project.vit, seed=1, spec=project.spec))
    return one


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


def run(*arguments):
    """Run the command line; return its exit status and what it printed, in one line."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, " ".join(result.output.split())


def picture(path, index=0):
    """Write a test image to ``path`` and return it."""
    Image.fromarray(digits("test")[index][0].numpy()).save(path)
    return path
