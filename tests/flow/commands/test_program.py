from vitric.toolchain import tools

from tests.flow.commands.board import run


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
    assert status == 2 and "run `vitric bitstream` with the same project and board first" in output
    status, output = run("program", "--board", "nowhere")
    assert status == 2 and "board must be one of" in output
    status, output = run("program", "--config", "nothing")
    assert status == 2 and "--project must be one of" in output
    (loader / "build" / "tiny" / "ulx3s").mkdir(parents=True)
    (loader / "build" / "tiny" / "ulx3s" / "top.bit").write_bytes(b"bits")
    missing = tools.Tool("openFPGALoader", "loading a board", False, "missing", note="install it")
    monkeypatch.setattr(tools, "find", lambda name: missing)
    status, output = run("program", "--config", "tiny")
    assert status == 2 and "openFPGALoader is needed for loading a board: install it" in output
