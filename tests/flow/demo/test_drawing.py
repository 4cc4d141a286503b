import pytest
import torch
from PIL import Image, ImageDraw
from vitric.flow.demo.drawing import drawn_pixels
from vitric.flow.project.integer import integer_model
from vitric.flow.project.project import open_project
from vitric.golden import digits


def drawing(*strokes, width=44, size=320):
    """Return strokes as the page draws them: white on black, round ends."""
    sheet = Image.new("L", (size, size))
    pen = ImageDraw.Draw(sheet)
    for stroke in strokes:
        pen.line(stroke, fill=255, width=width, joint="curve")
        for x, y in (stroke[0], stroke[-1]):
            pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=255)
    return sheet


SEVEN = [(80, 50), (240, 50), (170, 270)], [(120, 165), (230, 165)]
FOUR = ([(190, 270), (190, 50), (90, 200), (240, 200)],)
ONE = ([(120, 90), (170, 50), (170, 270)],)


@pytest.mark.parametrize(("strokes", "digit"), [(SEVEN, 7), (FOUR, 4), (ONE, 1)])
def test_drawn_digits_are_what_the_model_takes_them_for(strokes, digit):
    pixels = drawn_pixels(drawing(*strokes), 8)
    assert pixels.shape == (1, 1, 8, 8) and pixels.dtype == torch.uint8
    assert int(integer_model(open_project("digits"))(pixels).argmax()) == digit


def test_ink_is_as_in_the_data_set():
    inks = [float(drawn_pixels(drawing(*strokes), 8).double().mean()) for strokes in (SEVEN, FOUR, ONE)]
    assert sum(inks) / 3 == pytest.approx(float(digits("test")[:360].double().mean()), rel=0.2)


@pytest.mark.parametrize("scale", [0.25, 1, 3])
def test_place_and_size_of_a_drawing_do_not_matter(scale):
    wanted = drawn_pixels(drawing([(50, 50), (150, 50), (150, 250)], width=40), 8).double()
    moved = [(round(scale * x + 20), round(scale * y + 20)) for x, y in ((50, 50), (150, 50), (150, 250))]
    found = drawn_pixels(drawing(moved, width=round(40 * scale), size=1000), 8).double()
    assert float((found - wanted).abs().mean()) < 12


def test_pixels_are_how_much_of_them_is_set():
    sheet = Image.new("RGB", (64, 64))
    ImageDraw.Draw(sheet).rectangle((16, 0, 47, 63), fill="white")  # half as wide as high
    found = drawn_pixels(sheet, 8)[0, 0]
    assert found[:, 2:6].eq(255).all() and found[:, :2].eq(0).all() and found[:, 6:].eq(0).all()
    assert drawn_pixels(sheet, 8, margin=0.25)[0, 0].tolist() == [
        [255 if 2 <= y < 6 and 3 <= x < 5 else 0 for x in range(8)] for y in range(8)]


def test_an_empty_drawing_is_refused():
    with pytest.raises(ValueError, match="nothing is drawn"):
        drawn_pixels(Image.new("L", (320, 320), 5), 8)
