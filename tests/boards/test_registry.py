# amaranth: UnusedElaboratable=no
import pytest
from vitric.boards.registry import BOARDS, find_board, smallest_board
from vitric.toolchain.families import GOWIN


def test_names():
    assert find_board("ulx3s").part.name == "LFE5U-85F"
    with pytest.raises(ValueError, match=f"^board must be one of {', '.join(BOARDS)}, not 'ulx4s'$"):
        find_board("ulx4s")


@pytest.mark.parametrize("name", BOARDS)
def test_platform_matches_the_device(name):
    """The part that nextpnr is told of is the one whose pins the platform has."""
    board = find_board(name)
    platform = board.make_platform()
    assert not platform.required_tools
    if board.part.family is GOWIN:
        device, ordered, option, database = board.part.arguments
        assert (device, ordered, option) == ("--device", platform.part, "--vopt")
        assert platform.family.endswith(board.part.pll["device"].removeprefix("GW1NR-").removeprefix("GW2AR-"))
        assert database == f"family={board.part.packing[1]}" and board.part.packing[0] == "-d"
        return
    told = dict(zip(board.part.arguments[1::2], board.part.arguments[2::2], strict=True))
    assert platform.device == board.part.name
    package = platform.package.replace("BG", "CABGA").replace("MG", "CSFBGA")
    assert (told["--package"], told["--speed"]) == (package, platform.speed)


@pytest.mark.parametrize("name", BOARDS)
def test_oscillator(name):
    board = find_board(name)
    platform = board.make_platform()
    assert platform.lookup(board.clock).clock.frequency == board.input_mhz * 1e6
    assert all(platform.lookup("led", number) for number in range(board.leds))


@pytest.mark.parametrize(("luts", "hint"), [
    (8000, "the smallest board that would do is tang_nano_9k"),
    (9000, "the smallest board that would do is tang_nano_20k"),
    (30_000, "the smallest board that would do is ulx3s_45f"),
    (100_000, "none"),
])
def test_smallest_board(luts, hint):
    assert smallest_board(lambda board: board.part.lut4 >= luts, "none") == hint
