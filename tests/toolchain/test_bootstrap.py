import io
import shutil
import subprocess
import sys

import pytest
from vitric.toolchain import bootstrap


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A repository with a lock file, whose set-up commands are recorded instead of run."""
    (tmp_path / "requirements.lock").write_text("torch==2.13.0\n")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "LOCK", tmp_path / "requirements.lock")
    monkeypatch.setattr(bootstrap, "_PROJECT", tmp_path / "pyproject.toml")
    monkeypatch.delenv("TORCH_INDEX", raising=False)
    commands = []

    def record(*command):
        commands.append(" ".join(map(str, command)))
        if "venv" in commands[-1] and not (tmp_path / ".venv").exists():
            (tmp_path / ".venv").mkdir()

    monkeypatch.setattr(bootstrap, "_run", record)
    return tmp_path, commands


def test_second_call_does_nothing(tree):
    root, commands = tree
    assert bootstrap.main() == 0
    assert "-m venv" in commands[0] and "requirements.lock" in commands[1] and "--no-deps" in commands[2]
    first = len(commands)
    assert bootstrap.main() == 0
    assert len(commands) == first
    (root / "requirements.lock").write_text("torch==2.13.1\n")
    assert bootstrap.main() == 0
    assert len(commands) > first


def test_interrupted_setup_is_not_finished(tree, monkeypatch):
    root, commands = tree
    record = bootstrap._run

    def stop_at_lock(*command):
        record(*command)
        if "-r" in command:
            raise subprocess.CalledProcessError(7, command)

    monkeypatch.setattr(bootstrap, "_run", stop_at_lock)
    assert bootstrap.main() == 1
    monkeypatch.setattr(bootstrap, "_run", record)
    commands.clear()
    assert bootstrap.main() == 0
    assert any("requirements.lock" in command for command in commands)


def test_broken_update_is_not_finished(tree, monkeypatch):
    root, commands = tree
    assert bootstrap.main() == 0
    before = (root / "requirements.lock").read_text()
    (root / "requirements.lock").write_text(before + "rich==1\n")

    def fail(*command):
        raise subprocess.CalledProcessError(1, command)

    record = bootstrap._run
    monkeypatch.setattr(bootstrap, "_run", fail)
    assert bootstrap.main() == 1
    monkeypatch.setattr(bootstrap, "_run", record)
    (root / "requirements.lock").write_text(before)
    commands.clear()
    assert bootstrap.main() == 0
    assert commands, "the packages may be half updated although the lock file is what it was"


def test_torch_from_its_own_index(tree, monkeypatch):
    _, commands = tree
    monkeypatch.setenv("TORCH_INDEX", "INDEX")
    assert bootstrap.main() == 0
    assert commands[1].endswith("install --no-deps --index-url INDEX torch==2.13.0")


@pytest.mark.parametrize(
    ("tool", "package"), [("make", "make"), ("perl", "perl"), (("c++", "g++", "clang++"), "g++")]
)
def test_missing_program_is_named_before_anything_happens(tree, monkeypatch, capsys, tool, package):
    root, commands = tree
    found = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name in tool and len(name) > 1 else found(name))
    assert bootstrap.main() == 2
    assert f"on Debian: apt install {package}\n" in capsys.readouterr().err
    assert commands == [] and not (root / ".venv").exists()


def test_old_python_is_named(tree, monkeypatch, capsys):
    monkeypatch.setattr(bootstrap, "MINIMUM_PYTHON", (3, 99))
    assert bootstrap.main() == 2
    assert "Python 3.99 or newer is missing" in capsys.readouterr().err


PIP = ["Looking in indexes: somewhere\n", *(f"Collecting a{k}==1 (from -r x)\n" for k in range(60)),
       *["Requirement already satisfied: b==1 in /x\n"] * 50, "  Downloading a.whl (1 kB)\n",
       "Installing collected packages: a0, a1\n", "Successfully installed a0 a1\n"]


@pytest.mark.parametrize("live", [True, False])
def test_hundreds_of_lines_become_a_few(tmp_path, monkeypatch, capsys, live):
    (tmp_path / "lock").write_text("# pins\n" + "a==1\n" * 110)
    monkeypatch.setattr(bootstrap, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: live)
    log = io.StringIO()
    bootstrap._follow(PIP, log)
    assert log.getvalue() == "".join(PIP)
    shown = capsys.readouterr().out
    assert shown.endswith("setup: all packages are here; installing them takes a minute\n")
    if live:
        assert shown.count("\n") == 2 and "package 60 of 110: a59==1" in shown and "package 110 of 110: b==1" in shown
    else:
        assert shown.count("\n") == 3 and "setup: 100 of 110 packages are here" in shown


def test_a_command_that_fails_shows_its_last_lines(tree, monkeypatch, capsys):
    root, _ = tree
    monkeypatch.undo()
    for name, value in (("ROOT", root), ("LOCK", root / "requirements.lock"), ("_PROJECT", root / "pyproject.toml")):
        monkeypatch.setattr(bootstrap, name, value)
    program = "import sys; print(*range(40), sep='\\n'); print('out of disk', file=sys.stderr); sys.exit(3)"
    monkeypatch.setattr(bootstrap, "_install", lambda venv, stamp: bootstrap._run(sys.executable, "-c", program))
    assert bootstrap.main() == 1
    errors = capsys.readouterr().err
    assert "out of disk\n" in errors and "39\n" in errors and "\n5\n" not in errors
    assert f"failed with status 3; all it said is in {root / 'build' / 'setup.log'}" in errors
    assert "\n5\n" in (root / "build" / "setup.log").read_text()


def test_needs_only_the_standard_library():
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import runpy; runpy.run_path({bootstrap.__file__!r})"],
        capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stderr
