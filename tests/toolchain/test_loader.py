import sys

import pytest
from vitric.golden.errors import UserError
from vitric.toolchain import tools
from vitric.toolchain.loader import run_loader


def test_status_and_arguments(monkeypatch, tmp_path):
    program = tmp_path / "loader"
    program.write_text(f"#!{sys.executable}\nimport os, sys\nassert os.environ['OWN'] == '1'\n"
                       f"open({str(tmp_path / 'arguments')!r}, 'w').write(' '.join(sys.argv[1:]))\nsys.exit(7)\n")
    program.chmod(0o755)
    tool = tools.Tool("openFPGALoader", "loading a board", False, "PATH", str(program), "1", {"OWN": "1"})
    monkeypatch.setattr(tools, "find", lambda name: tool)
    assert run_loader(("-b", "ulx3s"), ["-m", tmp_path / "top.bit"]) == 7
    assert (tmp_path / "arguments").read_text() == f"-b ulx3s -m {tmp_path / 'top.bit'}"


def test_no_loader(monkeypatch):
    missing = tools.Tool("openFPGALoader", "loading a board", False, "missing", note="install it")
    monkeypatch.setattr(tools, "find", lambda name: missing)
    with pytest.raises(UserError, match="openFPGALoader is needed for loading a board: install it"):
        run_loader(("-b", "ulx3s"), [])
