import time

import pytest
from vitric.boards.flash_image import DATA_OFFSET, HEADER_LAYOUT, FlashState
from vitric.boards.link import unpack_layout

from tests.flow.commands.board import SPEC, compiled, run

FILE = "build/tiny/ulx3s/flash.bin"
FIRST, SECOND = 0x40_0000, 0xA0_0000


def written(loader):
    """Return the offset that openFPGALoader was given, and header and model of the file."""
    *options, offset, file = (loader / "arguments").read_text().split()
    assert (options, file) == (["-b", "ulx3s", "-f", "--file-type", "raw", "-o"], FILE)
    content = (loader / FILE).read_bytes()
    return int(offset), unpack_layout(HEADER_LAYOUT, content), content[DATA_OFFSET:]


@pytest.mark.parametrize(("state", "used", "offset"), [
    (FlashState.EMPTY, 0, FIRST), (FlashState.FOREIGN, 0, FIRST), (FlashState.DAMAGED, 0, FIRST),
    (FlashState.LOADED, 0, SECOND), (FlashState.LOADED, 1, FIRST)])
def test_flash_asks_the_board(loader, board, state, used, offset):
    board.fields = {"flash_state": state, "flash_slot": used, "flash_written": 4_000_000_000}
    status, output = run("flash", "--project", "tiny", "--port", "port")
    assert status == 0 and f"words in slot {int(offset == SECOND)}" in output
    at, header, model = written(loader)
    assert (at, header["written"], header["spec_hash"]) == (offset, 4_000_000_001, SPEC.hash)
    assert model == compiled(1).stream.data and header["words"] == len(compiled(1).stream)


def test_flash_of_a_board_that_does_not_run(loader, board):
    compiled(2).stream.save("other.vitric")
    before = int(time.time())
    assert run("flash", "other.vitric", "--project", "tiny", "--slot", 1)[0] == 0
    at, header, model = written(loader)
    assert at == SECOND and model == compiled(2).stream.data and before <= header["written"] <= int(time.time())


def test_flash_waits_while_the_board_looks(loader, board, monkeypatch):
    board.fields = {"flash_state": FlashState.LOOKING}
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            board.fields = {"flash_state": FlashState.LOADED, "flash_slot": 0, "flash_written": 5}

    monkeypatch.setattr(time, "sleep", sleep)
    status, output = run("flash", "--project", "tiny", "--port", "port")
    assert status == 0 and "in slot 1" in output and len(waits) == 3
    board.fields = {"flash_state": FlashState.LOOKING}
    status, output = run("flash", "--project", "tiny", "--port", "port")
    assert status == 2 and "looked for a model in its flash for 10 s, and still does" in output


@pytest.mark.parametrize(("arguments", "message"), [
    ((), "--port asks the board which slot is free, --slot chooses"),
    (("--slot", 2), "--slot must be between 0 and 1 for ULX3S with LFE5U-85F, not 2"),
    (("--port", "port"), "the board at port takes no model from its flash"),
    (("--port", "other"), "cannot open the serial port other"),
    (("--slot", 0, "--board", "nowhere"), "board must be one of"),
    (("--slot", 0, "missing.vitric"), "cannot read"),
])
def test_flash_that_cannot_be(loader, board, arguments, message):
    status, output = run("flash", "--project", "tiny", *arguments)
    assert status == 2 and message in output
    assert not (loader / "arguments").exists()


def test_a_model_that_is_too_long(loader, board, monkeypatch):
    from vitric.golden.spec.flash import FlashSpec

    monkeypatch.setattr(FlashSpec, "slot_bytes", 5000)
    status, output = run("flash", "--project", "tiny", "--slot", 0)
    assert status == 2 and "bytes with its header, but a slot of the flash has 5000" in output


def test_openfpgaloader_fails(loader, board):
    (loader / "status").write_text("1")
    status, output = run("flash", "--project", "tiny", "--slot", 0)
    assert status == 2 and "openFPGALoader ended with status 1" in output and "other slot is still there" in output
