import json

import numpy as np
import pytest
from PIL import Image
from vitric.boards.link import Kind
from vitric.flow.project import integer
from vitric.flow.project.pictures import prepared
from vitric.flow.project.project import open_project
from vitric.golden.data.sets import digits

from tests.flow.commands.board import SPEC, compiled, picture, run
from tests.golden.data.large_png import write_large_png


def test_infer(board, tmp_path):
    model = integer.integer_model(open_project("tiny"))
    image = digits("test")[:1]
    expected = tuple(model(image)[0].tolist())
    sent = []

    def answer(columns):
        sent.append(columns)
        return expected

    board.infer = answer
    status, output = run("infer", picture(tmp_path / "0.png"), "--port", "port", "--config", "tiny", "--json", "r.json")
    assert status == 0 and "equal" in output
    assert sent == [compiled(1).input_words(image)[0].tobytes()]
    told = json.loads((tmp_path / "r.json").read_text())
    assert (told["cycles"], told["images_per_second"]) == (None, None)
    (result,) = told["images"]
    assert (result["class"], tuple(result["logits"]), result["equal"]) == (
        expected.index(max(expected)), expected, True)
    assert (result["cycles"], result["microseconds"]) == (2345, 46.9)

    board.infer = lambda columns: (*expected[:-1], expected[-1] + 1)
    status, output = run("infer", tmp_path / "0.png", "--port", "port", "--config", "tiny")
    assert status == 1 and "differ" in output

    board.model = compiled(2).stream.data  # golden does not know that model
    status, output = run("infer", tmp_path / "0.png", "--port", "port", "--config", "tiny")
    assert status == 0 and "not compared" in output


@pytest.mark.parametrize("words", [0, 100])
def test_infer_several_images(board, tmp_path, words):
    """One after the other over the line, or all of them in the board's memory, where two fit at a time."""
    model, images = integer.integer_model(open_project("tiny")), digits("test")[:5]
    expected, columns = model(images).tolist(), [one.tobytes() for one in compiled(1).input_words(images)]
    board.memory = bytearray(4 * words)
    board.infer = lambda image: tuple(expected[columns.index(image)])
    paths = [picture(tmp_path / f"{k}.png", k) for k in range(5)]
    status, output = run("infer", *paths, "--port", "port", "--config", "tiny", "--json", "r.json")
    assert status == 0 and output.count("equal") == 5
    told = json.loads((tmp_path / "r.json").read_text())
    assert [image["logits"] for image in told["images"]] == expected
    assert [image["image"] for image in told["images"]] == list(map(str, paths))
    assert board.requests.count(Kind.RUN) == (3 if words else 0)
    assert told["cycles"] == (5 * 1010 if words else None)
    if words:
        assert told["images_per_second"] == round(50_000_000 / 1010, 2) and "images/s" in output
    board.infer = lambda image: tuple(value + (columns.index(image) == 3) for value in expected[columns.index(image)])
    status, output = run("infer", *paths, "--port", "port", "--config", "tiny")
    assert status == 1 and output.count("differ") == 1


def test_infer_at_another_speed(board, tmp_path):
    board.speeds = (2_000_000, 3_000_000)
    paths = [picture(tmp_path / f"{k}.png", k) for k in range(2)]
    for limit, baud in ((3_000_000, 3_000_000), (2_999_999, 2_000_000), (1_999_999, 1_000_000)):
        board.infer = lambda image, baud=baud: (board.line_baud == board.baud == baud,)
        status, output = run("infer", *paths, "--port", "port", "--config", "tiny", "--max-baud", limit, "--json", "r")
        assert [image["logits"] for image in json.loads((tmp_path / "r").read_text())["images"]] == [[1], [1]]


def test_infer_needs_the_board_of_the_config(board, tmp_path):
    status, output = run("infer", picture(tmp_path / "0.png"), "--port", "port", "--config", "digits")
    assert status == 2
    assert f"the board has the spec {SPEC.hash:#010x}, the project digits is for the spec digits" in output


def test_infer_reports_an_error_of_the_accelerator(board, tmp_path):
    board.infer = lambda columns: None
    status, output = run("infer", picture(tmp_path / "0.png"), "--port", "port", "--config", "tiny")
    assert status == 2 and "accelerator error 5 (bad crc) at command 17" in output


@pytest.mark.parametrize("pixels", [
    np.zeros((30, 20), np.uint8), np.full((8, 8, 3), 200, np.uint8), np.zeros((8, 8), np.uint16),
    np.full((9, 7, 4), 128, np.uint8)], ids=["size", "colour", "16 bits", "alpha"])
def test_infer_prepares_a_picture_as_run_does(board, tmp_path, pixels):
    path, sent = tmp_path / "image.png", []
    Image.fromarray(pixels).save(path)
    work = open_project("tiny")
    expected, (notes,) = prepared(work, [path])
    logits = tuple(integer.integer_model(work)(expected)[0].tolist())
    board.infer = lambda columns: sent.append(columns) or logits
    status, output = run("infer", path, "--port", "port", "--config", "tiny", "--json", "r.json")
    assert status == 0, output
    assert sent == [compiled(1).input_words(expected)[0].tobytes()]
    assert json.loads((tmp_path / "r.json").read_text())["images"][0]["notes"] == notes
    assert all(note in output for note in notes)


def test_infer_rejects_what_is_no_image(board, tmp_path):
    path = tmp_path / "image.png"
    path.write_text("no image")
    status, output = run("infer", path, "--port", "port", "--config", "tiny")
    assert status == 2 and "cannot be read as an image: cannot identify image file" in output
    assert board.requests == []


@pytest.mark.parametrize(("side", "message"), [
    (14_000, "cannot be read as an image: Image size (196000000 pixels) exceeds limit"),
    (10_000, "cannot be read as an image: Image size (100000000 pixels) exceeds limit"),
])
def test_infer_does_not_read_large_pictures(board, tmp_path, side, message):
    write_large_png(tmp_path / "large.png", side)
    status, output = run("infer", tmp_path / "large.png", "--port", "port", "--config", "tiny")
    assert status == 2 and message in output
    assert board.requests == []
