import re

import pytest
from vitric.flow.page.parts import Facts, Missing, Note, Picture, Pictures, Plot, Section, Table
from vitric.flow.page.plots import blank
from vitric.flow.page.render import page


def rendered(*parts):
    return page("a title", [Section(name="one", title="One", parts=parts)])


@pytest.mark.parametrize(("part", "wanted"), [
    (Facts([("name", "<value>")]), "<dt>name</dt><dd>&lt;value&gt;</dd>"),
    (Note(text="a & b", tone="bad"), '<p class="note bad">a &amp; b</p>'),
    (Missing(what="the area", command="vitric x"), "Not there yet: the area. This makes it: <code>vitric x</code>"),
    (Table(header=("h", "n"), rows=[("c", "7")]), '<td>c</td>\n<td class="number">7</td>'),
    (Table(header=("h",), rows=[], search=True, title="T"), 'aria-label="Search T"'),
    (Pictures(pictures=[Picture(png=b"abc", lines=["l<"])]), 'src="data:image/png;base64,YWJj" alt="l&lt;"'),
])
def test_parts_are_shown_and_text_is_only_text(part, wanted):
    assert wanted in rendered(part)


def test_plots_and_their_library_are_in_the_page():
    without, one = rendered(Note(text="x")), rendered(Plot(model=blank(), title="P", text="about it"))
    assert "Bokeh" not in without and len(without) < 20_000
    assert "<figcaption>P</figcaption>" in one and "<p>about it</p>" in one and len(one) > 1_000_000
    for text in (without, one):
        assert not re.search(r"<(?:script|link|img)[^>]+(?:src|href)=\"(?!data:)", text)


def test_links_lead_to_sections():
    text = page("t", [Section(name=name, title=name.upper(), parts=[]) for name in ("a", "b")])
    assert re.findall(r'href="#(\w+)"', text) == re.findall(r'<section id="(\w+)"', text) == ["a", "b"]
