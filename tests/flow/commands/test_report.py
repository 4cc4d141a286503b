import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner
from vitric.flow.cli import app
from vitric.flow.commands.sim import Options, simulate, write_figures
from vitric.flow.project.project import open_project

from tests.processes import one_at_a_time
from tests.sim.test_accelerator import FOLDER

SECTIONS = ["summary", "images", "accuracy", "time", "area", "memory", "contract"]


def run(*arguments):
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


class Page(HTMLParser):
    """What stands in the sections of a page, and that its tags are closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.sections, self.notes, self.links = [], {}, [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.links += [attrs[name] for name in ("src", "href") if name in attrs]
        if tag not in ("meta", "img", "input", "link"):
            self.open.append((tag, attrs))
        if tag == "section":
            self.sections[attrs["id"]] = ""

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        if self.sections and not any(tag in ("script", "style") for tag, _ in self.open):
            self.sections[list(self.sections)[-1]] += data


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Return the folder that `vitric sim --config tiny --images 5` leaves."""
    folder = tmp_path_factory.mktemp("sim")
    with one_at_a_time(FOLDER):
        figures = simulate(open_project("tiny"), Options(images=5, build=FOLDER))
    write_figures(folder / "sim.json", figures)
    return folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "build" / "tiny"


def test_page_of_a_simulated_project(simulated, folder):
    shutil.copytree(simulated, folder)
    done = run("--project", "tiny")
    assert done.exit_code == 0, done.output
    text = (folder / "report.html").read_text()
    page = Page(text)
    assert not page.open and list(page.sections) == SECTIONS and len(text) < 5_000_000
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in page.links)
    assert "All 3,730 values that the generated hardware wrote for 5 images are those" in page.sections["summary"]
    assert "vitric bitstream --project tiny" in page.sections["area"]
    assert "image 4" in page.sections["images"] and "image 5" not in page.sections["images"]
    activity = json.loads((folder / "activity.json").read_text())
    assert {row[0] for row in activity["stretches"]} == set(range(len(activity["engines"])))


def test_a_wrong_value_in_a_file_is_told(simulated, folder):
    shutil.copytree(simulated, folder)
    figures = json.loads((folder / "sim.json").read_text())
    figures["logits"][3][7] += 1
    (folder / "sim.json").write_text(json.dumps(figures))
    assert run("--project", "tiny", "--out", "page.html").exit_code == 0
    page = Page(Path("page.html").read_text())
    assert "The logits in sim.json are not those of this integer model: image 3." in page.sections["summary"]
    assert "hardware: other logits" in page.sections["images"]


def test_page_of_an_empty_folder_names_every_command(folder):
    done = run("--project", "tiny", "--board", "ulx3s_25f")
    assert done.exit_code == 0 and f"page: {Path('build', 'tiny', 'report.html')}" in done.output
    sections = Page((folder / "report.html").read_text()).sections
    for command in ("sim --project tiny", "quantize --project tiny", "bitstream --project tiny --board ulx3s_25f"):
        assert f"vitric {command}" in sections["summary"]
    assert "blocks.0.attn.softmax" in sections["contract"] and "Activation memory" in sections["memory"]


@pytest.mark.parametrize(("arguments", "message"), [
    (["--project", "no-such-one"], "--project must be one of"), (["--out", "page.pdf"], "--out must be named *.html"),
    (["--board", "none"], "--board must be one of"),
])
def test_wrong_arguments(arguments, message, folder):
    done = run(*arguments)
    assert done.exit_code == 2 and message in " ".join(done.output.split())
