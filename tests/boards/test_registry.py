# amaranth: UnusedElaboratable=no
import pytest
from vitric.boards.registry import BOARDS, find_board


def test_names():
    assert list(BOARDS) == ["ulx3s", "ulx3s_12f", "ulx3s_25f", "ulx3s_45f"]
    assert find_board("ulx3s").part.name == "LFE5U-85F"
    with pytest.raises(ValueError, match="board must be one of ulx3s, ulx3s_12f, ulx3s_25f, ulx3s_45f, not 'ulx4s'"):
        find_board("ulx4s")


@pytest.mark.parametrize("name", BOARDS)
def test_platform_matches_the_device(name):
    board = find_board(name)
    platform = board.make_platform()
    assert (platform.device, platform.package, platform.speed) == (board.part.name, "BG381", "6")
    assert "openFPGALoader" not in platform.required_tools
