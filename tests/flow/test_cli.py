import subprocess
import sys
import warnings
from importlib import metadata

import pytest
from typer.testing import CliRunner
from vitric.flow.cli import COMMANDS, app
from vitric.flow.commands import doctor
from vitric.golden.errors import ModelWarning


def test_user_error_is_one_line_and_status_2(tmp_path):
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(app, ["doctor", "--json", str(tmp_path / "file" / "x.json")])
    assert done.exit_code == 2
    assert done.stderr.startswith("vitric: cannot write ") and done.stderr.count("\n") == 1
    assert CliRunner().invoke(app, ["no-such-command"]).exit_code == 2


def test_help_and_version_load_nothing_heavy():
    code = (
        "import sys\nfrom vitric.flow.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit as e:\n    assert e.code == 0\n"
        "print(sorted({'torch', 'amaranth', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    for command in COMMANDS:
        assert command in done.stdout
    assert CliRunner().invoke(app, ["--version"]).output == f"vitric {metadata.version('vitric')}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command):
    done = CliRunner().invoke(app, [command, "--help"])
    assert done.exit_code == 0 and "Usage" in done.output, done.output


def test_a_warning_of_ours_is_one_line(monkeypatch):
    def warn():
        warnings.simplefilter("always", UserWarning)
        warnings.warn("head: clamped", ModelWarning, stacklevel=1)
        warnings.warn("of a library", UserWarning, stacklevel=1)

    monkeypatch.setattr(doctor, "doctor_command", warn)
    done = CliRunner().invoke(app, ["doctor"])
    first, *others = done.stderr.splitlines()
    assert done.exit_code == 0 and first == "vitric: warning: head: clamped"
    assert ".py:" in others[0] and "UserWarning: of a library" in others[0]
