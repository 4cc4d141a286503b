"""The recorder behind the timing diagrams: rows, cuts and spans of short runs, as WaveJSON and as SVG."""

import re
from xml.etree import ElementTree

import pytest
from amaranth.lib import data
from vitric.hdl.streams import PipelineRegister

from docs.diagrams.timing import Timing


def recorded(cycles, **receive) -> Timing:
    layout = data.StructLayout({"x": data.ArrayLayout(4, 2), "last": 1})
    t = Timing(PipelineRegister(layout), "a title")
    beats = [{"x": [1, 2], "last": 0}, {"x": [3, 4], "last": 1}, {"x": [5, 6], "last": 1}]
    t.send("i", beats, fields={"x": None, "last": None}, lengths=[2, 1], idle={0: 1, 2: 1})
    t.receive("o", fields={"x": lambda x: str(x[1]), "last": None}, lengths=[2, 1], **receive)
    t.span("latency", ("i", 1, "taken"), ("o", 1, "valid"))
    t.span("stall", ("o", 1, "valid"), ("o", 1, "taken"))
    t.run(cycles)
    return t


def test_rows_of_a_run():
    (_, *i), spans, stalls, (_, *o) = recorded(9, stalls=(3, 4)).wavejson()["signal"]
    assert i == [
        {"name": "valid", "wave": "01.01.0.."}, {"name": "ready", "wave": "1..0.1..."},
        {"name": "x", "wave": "x33x4.x..", "data": ["1 2", "3 4", "5 6"]}, {"name": "last", "wave": "x01x1.x.."},
    ]
    assert o == [
        {"name": "valid", "wave": "0.1....0."}, {"name": "ready", "wave": "1..0.1..."},
        {"name": "x", "wave": "x.33..4x.", "data": ["2", "4", "6"]}, {"name": "last", "wave": "x.01...x."},
    ]
    assert spans == {"node": "..ABC...."} and stalls == {"node": "...D.E..."}
    assert recorded(9, stalls=(3, 4)).wavejson()["edge"] == ["A<->B ", "C-C latency: 1", "D<->E stall: 2"]


def test_long_rests_are_cut():
    t = recorded(40)
    assert t.columns() == [0, 1, 2, 3, 4, 5, 6, None, 39]
    assert t.wavejson()["signal"][0][1] == {"name": "valid", "wave": "01.010.|."}
    numbers = re.findall(r'class="muted"[^>]*>(\d+)<', t.svg())
    assert numbers == ["0", "1", "2", "3", "4", "5", "6", "39"]


def test_svg_holds_what_it_uses_and_no_more():
    text = recorded(12, stalls=(3, 4)).svg()
    root = ElementTree.fromstring(text)
    shapes = {element.get("id") for element in root.find("{*}defs")}
    used = set(re.findall(r'href="#([^"]+)"', text)) | set(re.findall(r"url\(#([^)]+)\)", text))
    assert shapes == used
    assert text == recorded(12, stalls=(3, 4)).svg() != recorded(12, stalls=(3,)).svg()


def test_beats_that_never_came_cannot_be_marked():
    t = recorded(12)
    t.span("too late", ("i", 2, "taken"), ("o", 3, "valid"))
    with pytest.raises(IndexError):
        t.wavejson()
