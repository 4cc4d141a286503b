"""The pictures: up to date, on the pages where they belong, and made by a recorder that shows what happened."""

import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from amaranth.lib import data
from vitric.hdl.streams import PipelineRegister
from vitric.hdl.units import UNITS

from docs.diagrams.timing import Timing
from tests.test_docs import ROOT, name_of
from tests.test_repository import tracked

DIAGRAMS = sorted(path for path in tracked() if path.suffix == ".svg" and path.parent.name == "diagrams")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A copy of the diagrams' sources in which each of them was run."""
    root = tmp_path_factory.mktemp("drawn")
    copy = root / "docs" / "diagrams"
    shutil.copytree(ROOT / "docs" / "diagrams", copy, ignore=shutil.ignore_patterns("*.svg", "__pycache__"))
    command = ("import runpy, sys\n"
               "for name in sys.argv[1:]: runpy.run_module(f'docs.diagrams.{name}', run_name='__main__')")
    done = subprocess.run([sys.executable, "-c", command, *(path.stem for path in DIAGRAMS)], cwd=root,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return copy


@pytest.mark.parametrize("path", DIAGRAMS, ids=name_of)
def test_diagrams_come_from_their_source(path, drawn):
    assert (drawn / path.name).read_bytes() == path.read_bytes(), f"run python -m docs.diagrams.{path.stem}"
    assert path.stat().st_size < 60_000


SECTIONS = (
    "Block diagram", "Number format", "Derivation", "Handshake, latency, interval", "Figures", "Tried, and lost",
)


def missing_parts(unit: str, text: str) -> list[str]:
    """Return what the page of a unit lacks: sections, a purpose before them, its block and its timing diagram."""
    head, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    titles = [section.splitlines()[0].split(":")[0] for section in sections]
    images = re.findall(r"!\[[^\]]+\]\(\.\./diagrams/(\w+)\.svg\)", text)
    lacking = [title for title in SECTIONS if title not in titles]
    if all(paragraph.startswith(("#", "`")) for paragraph in head.strip().split("\n\n")):
        lacking.append("purpose")
    return lacking + [image for image in (unit, f"timing_{unit}") if image not in images]


@pytest.mark.parametrize("unit", UNITS)
def test_pages_of_units_are_complete(unit):
    assert missing_parts(unit, (ROOT / "docs" / "units" / f"{unit}.md").read_text(encoding="utf-8")) == []


def test_incomplete_pages_are_found():
    page = "# A\n\n`vitric.a`\n\n## Block diagram\n\n![A](../diagrams/a.svg)\n\n## Derivation: of it\n"
    assert missing_parts("a", page) == [
        "Number format", "Handshake, latency, interval", "Figures", "Tried, and lost", "purpose", "timing_a"]


def recorded(cycles, **receive) -> Timing:
    layout = data.StructLayout({"x": data.ArrayLayout(4, 2), "last": 1})
    t = Timing(PipelineRegister(layout), "a < b")
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
    assert root.find("{*}title").text == "a < b"
    shapes = {element.get("id") for element in root.find("{*}defs")}
    used = set(re.findall(r'href="#([^"]+)"', text)) | set(re.findall(r"url\(#([^)]+)\)", text))
    assert shapes == used
    assert text == recorded(12, stalls=(3, 4)).svg() != recorded(12, stalls=(3,)).svg()


def test_beats_that_never_came_cannot_be_marked():
    t = recorded(12)
    t.span("too late", ("i", 2, "taken"), ("o", 3, "valid"))
    with pytest.raises(IndexError):
        t.wavejson()
