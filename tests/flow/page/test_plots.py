import pytest
from hypothesis import given
from hypothesis import strategies as st
from vitric.flow.page.plots import blank, colours, squares


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=40))
def test_squares_fill_a_rectangle_without_overlap(sizes):
    sizes = sorted(sizes, reverse=True)
    found = squares(sizes, 1, 2, 16, 9)
    assert [w * h for _, _, w, h in found] == pytest.approx([size * 16 * 9 / sum(sizes) for size in sizes])
    for number, (x, y, w, h) in enumerate(found):
        assert 1 - 1e-6 <= x and x + w <= 17 + 1e-6 and 2 - 1e-6 <= y and y + h <= 11 + 1e-6
        for a, b, c, d in found[:number]:
            assert min(x + w, a + c) - max(x, a) < 1e-6 or min(y + h, b + d) - max(y, b) < 1e-6


def test_squares_are_those_of_the_paper():
    # Bruls, Huizing, van Wijk 2000, figure 3: areas 6 6 4 3 2 2 1 in 6 x 4
    found = squares([6, 6, 4, 3, 2, 2, 1], 0, 0, 6, 4)
    assert found[:2] == [(0, 0, 3, 2), (0, 2, 3, 2)]
    assert found[2] == pytest.approx((3, 0, 12 / 7, 7 / 3)) and found[3] == pytest.approx((33 / 7, 0, 9 / 7, 7 / 3))
    assert all(max(w / h, h / w) < 3 for _, _, w, h in found)


def test_nothing_takes_no_room():
    assert squares([0, 0], 0, 0, 4, 4) == [(0, 0, 0, 0)] * 2 and squares([], 0, 0, 4, 4) == []


def test_colours_differ_and_stay():
    names = [f"n{number}" for number in range(20)]
    assert len(set(colours(names).values())) == 20
    assert colours([*names, *names]) == colours(names) and set(colours(names + ["more"])) == {*names, "more"}


def test_plots_have_no_paper_of_their_own():
    plot = blank(height=100)
    assert plot.background_fill_alpha == plot.border_fill_alpha == 0 and plot.height == 100
