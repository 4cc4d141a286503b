from xml.etree import ElementTree

from vitric.flow.reports.plot import draw_svg


def draw(figure):
    axes = figure.add_subplot()
    axes.plot([1, 2, 3], [2, 4, 8], label="powers")
    axes.set(xlabel="exponent")
    axes.legend()


def test_the_same_figures_give_the_same_text():
    text = draw_svg(draw, (4, 3))
    assert text == draw_svg(draw, (4, 3)) != draw_svg(draw, (5, 3))
    root = ElementTree.fromstring(text)
    assert root.tag.endswith("svg") and root.get("width") == "288pt"  # 4 inches of 72 points
    assert "exponent" in text and "powers" in text and "dc:date" not in text
