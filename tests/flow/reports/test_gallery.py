"""Pictures in the terminal: every pixel, and what the hardware says that they are."""

import io

import pytest
import torch
from rich.console import Console
from vitric.flow.project.project import open_project
from vitric.flow.reports import gallery as module
from vitric.flow.reports.gallery import answers, gallery, show_images


def rendered(table, width=200):
    file = io.StringIO()
    Console(file=file, force_terminal=True, color_system="truecolor", width=width).print(table)
    return file.getvalue()


def test_answers():
    logits, names = [[1, 5, 2], [7, 7, 0], [0, 0, 9]], ("cat", "dog", "ship")
    assert answers(logits, [1, 1, 2], names) == ["dog", "cat (dog)", "ship"]
    assert answers(logits, None, None) == ["1", "0", "2"]


@pytest.mark.parametrize("channels", [1, 3])
def test_every_pixel_is_there(channels):
    images = torch.randint(0, 256, (2, channels, 4, 4), generator=torch.Generator().manual_seed(0))
    text = rendered(gallery(images, ["first", "second"], 200))
    assert text.count("▀") == 2 * 4 * 2 and "first" in text and "second" in text
    for image in images.expand(-1, 3, -1, -1):
        for row in (0, 2):
            for column in range(4):
                upper, lower = (";".join(map(str, image[:, at, column].tolist())) for at in (row, row + 1))
                assert f"38;2;{upper};48;2;{lower}m▀" in text


def test_sizes():
    large = torch.zeros(3, 3, 224, 224, dtype=torch.int64)
    large[:, 0, :112] = 255  # red above
    text = rendered(gallery(large, ["one", "two", "three"], 70))
    assert text.count("▀") == 2 * 32 * 16 and "two" in text and "three" not in text
    upper, *_, lower = (line for line in text.splitlines() if "▀" in line)
    assert "38;2;255;0;0;48;2;255;0;0m▀" in upper and "38;2;0;0;0;48;2;0;0;0m▀" in lower
    assert rendered(gallery(torch.full((1, 1, 5, 5), 9), ["odd"], 1)).count("▀") == 5 * 3


def test_names_where_no_colours_are(capsys):
    project = open_project("tiny")
    logits = [[int(number == kind) for kind in range(10)] for number in (2, 0, 9)]
    show_images(project, {"images": 3, "seed": 1, "logits": logits})
    truth = project.images("test").labels[:3].tolist()
    said = ", ".join(str(n) if n == t else f"{n} ({t})" for n, t in zip((2, 0, 9), truth, strict=True))
    assert capsys.readouterr().out.strip() == f"the hardware saw {said}"
    show_images(open_project("deit_tiny_block"), {"images": 1, "seed": 1, "logits": [[1]]})
    assert capsys.readouterr().out == ""  # random images


def test_pictures_in_a_terminal(monkeypatch):
    file = io.StringIO()
    terminal = Console(file=file, force_terminal=True, color_system="truecolor", width=40)
    monkeypatch.setattr(module, "console", lambda stderr: terminal)
    show_images(open_project("tiny"), {"images": 2, "seed": 1, "logits": [[1, 0], [0, 1]]})
    assert file.getvalue().count("▀") == 2 * 8 * 4
