"""The pages are true: links lead somewhere, commands exist, examples run, made parts are up to date."""

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer
from vitric.flow.cli import COMMANDS, app
from vitric.flow.commands import doctor
from vitric.flow.commands import synth as unit_synthesis
from vitric.flow.commands.generate import generate_unit
from vitric.flow.project.file import config_names
from vitric.flow.studies import STUDIES, study_named
from vitric.flow.studies.pages import load, svg
from vitric.hdl.units import UNITS
from vitric.toolchain.parts import PARTS

from bench import readme
from docs import pages
from tests.processes import one_at_a_time
from tests.sim.test_accelerator import FOLDER
from tests.test_repository import tracked

ROOT = pages.ROOT
PAGES = sorted(path for path in tracked() if path.suffix == ".md")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def code_of(text: str) -> list[str]:
    """Return the lines of code blocks, and inline code, of a page."""
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^```[^\n]*\n.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()] + re.findall(r"`([^`\n]+)`", prose)


def anchors_of(text: str) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(path: Path, text: str) -> list[str]:
    """Return the relative links of a page that lead to no file or no heading."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or (anchor and anchor not in anchors_of(target.read_text(encoding="utf-8"))):
            broken.append(link)
    return broken


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links(path):
    assert broken_links(path, path.read_text(encoding="utf-8")) == []


def test_broken_links_are_found():
    page = ROOT / "docs" / "README.md"
    assert broken_links(page, "[a](nowhere.md) [b](../README.md#no-such-heading) [c](units/README.md#units)") == [
        "nowhere.md", "../README.md#no-such-heading"]


def test_every_page_can_be_reached():
    reached, new = set(), {ROOT / "README.md"}
    while new:
        path = new.pop()
        reached.add(path)
        links = re.findall(r"\]\(([^)\s:#]+\.md)", path.read_text(encoding="utf-8"))
        new |= {target for link in links if (target := (path.parent / link).resolve()).is_file()} - reached
    assert {name_of(path) for path in PAGES} - {name_of(path) for path in reached} == set()


def unknown_commands(lines: list[str]) -> list[str]:
    """Return the commands in lines of code that neither the Makefile nor the command line has."""
    makefile = (ROOT / "Makefile").read_text()
    unknown = []
    for line in lines:
        if line.startswith("apt "):
            continue
        for target, settings in re.findall(r"\bmake ([a-z][\w-]*)((?: [A-Z]+=\S*)*)", line):
            known = re.search(rf"^{target}:", makefile, re.MULTILINE)
            names = re.findall(r"([A-Z]+)=", settings)
            if not known or not all(re.search(rf"^{name}\s*\?=", makefile, re.MULTILINE) for name in names):
                unknown.append(f"make {target}{settings}")
        for config in re.findall(r"\bCONFIG=(\w+)", line):
            if config not in config_names():
                unknown.append(f"CONFIG={config}")
        for command, rest in re.findall(r"\bvitric ([a-z][\w-]*)([^#]*)", line):
            if command not in COMMANDS:
                unknown.append(f"vitric {command}")
                continue
            parameters = typer.main.get_command(app).get_command(None, command).params
            options = {name for parameter in parameters for name in parameter.opts} | {"--help"}
            unknown += [f"vitric {command} {option}" for option in re.findall(r"--[a-z][a-z-]*", rest)
                        if option not in options]
    return unknown


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_commands_exist(path):
    assert unknown_commands(code_of(path.read_text(encoding="utf-8"))) == []


def test_unknown_commands_are_found():
    good = ["make sim CONFIG=tiny", "$ vitric doctor --strict --json -", "apt install g++ make perl", "make # help"]
    assert unknown_commands(good) == []
    bad = ["make coffee", "make sim SUGAR=2", "make sim CONFIG=huge", "vitric dream", "vitric doctor --slowly"]
    assert unknown_commands(bad) == [
        "make coffee", "make sim SUGAR=2", "CONFIG=huge", "vitric dream", "vitric doctor --slowly"]


def documented_fields(section: str, page: str = "reports.md") -> set[str]:
    """Return the fields that a section of a page lists."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    table = text.split(f"# {section}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_fields_of_the_simulation_report():
    tree = ast.parse((ROOT / "flow" / "reports" / "simulation.py").read_text(encoding="utf-8"))
    written = [{key.value for key in node.keys if isinstance(key, ast.Constant)}
               for node in ast.walk(tree) if isinstance(node, ast.Dict)]
    assert documented_fields("`vitric sim --json`") == next(keys for keys in written if "values_compared" in keys)
    assert set(readme.SIM) <= documented_fields("`vitric sim --json`")


def test_fields_of_the_doctors_report():
    assert documented_fields("`vitric doctor --json`") == set(doctor.examine())


def test_fields_of_the_units_report(tmp_path):
    mac = {"rows": 1, "cols": 1, "depth": 1, "a_bits": 2, "w_bits": 2, "acc_bits": 8, "shifts": (0,)}
    reports = [unit_synthesis.measure(UNITS[name], settings, PARTS["gw1nr-9"], build=tmp_path)
               for name, settings in (("mac", mac), ("gelu", {"lanes": 1}))]
    assert documented_fields("The report", "synth.md") == set().union(*reports)
    assert documented_fields("`vitric generate`", "synth.md") == set(
        generate_unit(UNITS["gelu"], {}, "generic")[1])


@pytest.mark.parametrize("part", pages.PARTS, ids=" ".join)
def test_made_parts_are_up_to_date(part):
    page, name = part
    text = (ROOT / page).read_text(encoding="utf-8")
    assert pages.part(text, name) == pages.PARTS[part](), "run python -m docs.pages"


@pytest.mark.parametrize("name", STUDIES)
def test_plots_of_studies_are_those_of_their_results(name):
    study = study_named(name)
    for stem, records in load(study, pages.RESULTS).items():
        plot = (pages.RESULTS / f"{stem}.svg").read_text(encoding="utf-8")
        assert plot == svg(study, records), f"run vitric study {name} --out docs/studies"


def test_fields_of_the_studies():
    """The tables of fields have four columns here, the second one is the fields."""
    text = (ROOT / "docs" / "reports.md").read_text(encoding="utf-8").split("# `vitric study --json`\n")[1]
    described = {field for row in re.findall(r"^\| [a-z, ]+ \| (`[^|]*) \|", text, re.MULTILINE)
                 for field in re.findall(r"`(\w+)`", row)}
    stored = {field for name in STUDIES for records in load(study_named(name), pages.RESULTS).values()
              for record in records for field in record}
    assert stored - {"config", "data", "images"} <= described
    assert described - stored <= {"reason", "draw"}  # where something cannot be expressed; where calibration is stored


def test_widths_come_from_the_specs():
    table = pages.widths(("digits", "deit_tiny"))
    cells = {line.split(" | ")[0].removeprefix("| "): line.rstrip(" |").split(" | ")[2:] for line in table.splitlines()}
    assert cells["activation tile"] == ["64", "256"]  # 4 x 4 and 8 x 8 elements of 4 bits
    assert cells["product"] == ["34", "34"]  # an operand of 18 bits times 16 bits
    assert cells["softmax sum"] == ["27", "30"]  # 22 bits, and 5 or 8 more for rows of up to 32 or 200 scores


def test_fill_replaces_one_part_only():
    text = "a\n<!-- begin x -->\nold\n<!-- end x -->\nb\n<!-- begin y -->\n<!-- end y -->\n"
    assert pages.fill(text, "x", "new \\1\n") == text.replace("old", "new \\1")
    with pytest.raises(ValueError, match="one pair of comments for z, not 0"):
        pages.fill(text, "z", "")


def test_python_example_of_the_readme(tmp_path):
    example, = re.findall(r"^```python slow\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"),
                          re.DOTALL | re.MULTILINE)
    quick = example.replace('load_float("digits")', 'load_float("tiny")') + "print(logits.dtype, *logits.shape)\n"
    assert quick.count("tiny") == 1 and "assert" in quick
    (tmp_path / "build" / "tiny").mkdir(parents=True)
    (tmp_path / "build" / "tiny" / "verilator").symlink_to(FOLDER)  # the simulator that other tests have, or will have
    with one_at_a_time(FOLDER):
        done = subprocess.run([sys.executable, "-c", quick], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "torch.int64 4 10"


def test_table_of_parts_names_what_exists():
    text = (ROOT / "docs/units/README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| [^|]+ \| [^|]+ \| (`[^|]+) \| \[", text, re.MULTILINE)
    assert len(rows) >= 4
    for row in rows:
        file, *members = re.findall(r"`([^`]+)`", row)
        module = import_module("vitric.hdl." + file.removesuffix(".py").replace("/", "."))
        assert [one for one in members if not (hasattr(module, one) or (ROOT / "hdl" / one).is_file())] == [], row


def test_changelog_says_whether_bits_changed():
    releases = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")[1:]
    assert releases
    assert [release.splitlines()[0] for release in releases if "*Bit-exactness: " not in release] == []


def missing_tests(text: str) -> list[str]:
    """Return the tests that a page names, ``file::test`` or ``::test`` of the file before, and that do not exist."""
    missing, file = [], ""
    for name in re.findall(r"`((?:tests/[\w/]+\.py)?::\w+)`", text):
        file, test = name.split("::")[0] or file, name.split("::")[1]
        path = ROOT / file
        if not path.is_file() or f"def {test}(" not in path.read_text(encoding="utf-8"):
            missing.append(f"{file}::{test}")
    return missing


def test_tests_that_pages_name_exist():
    text = (ROOT / "docs/verification.md").read_text(encoding="utf-8")
    assert missing_tests(text) == [] and "::" in text
    assert missing_tests("`tests/test_docs.py::test_links`, `::test_nothing`, `tests/no.py::test_links`") == [
        "tests/test_docs.py::test_nothing", "tests/no.py::test_links"]
