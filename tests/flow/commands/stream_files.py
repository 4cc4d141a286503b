"""What the tests of commands on model files and streams share."""

import pytest
from typer.testing import CliRunner
from vitric.flow.cli import app
from vitric.golden.integer.random import random_integer_vit
from vitric.golden.integer.storage import save_integer
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.spec.vit import VIT_CONFIGS


@pytest.fixture(scope="session")
def model_file(tmp_path_factory):
    """Return an integer model of ``tiny`` in a file."""
    path = tmp_path_factory.mktemp("models") / "tiny.safetensors"
    save_integer(random_integer_vit(VIT_CONFIGS["tiny"], seed=1, spec=SPECS["tiny"]), path)
    return path


@pytest.fixture(scope="session")
def stream_file(model_file, tmp_path_factory):
    """Return its model stream, in a file."""
    out = tmp_path_factory.mktemp("streams") / "tiny.vtrc"
    done = call("compile", "--model", model_file, "--spec", "tiny", "-o", out)
    assert done.exit_code == 0, done.output
    return out


def call(*arguments):
    """Run the command line; return what typer's runner returns."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])
