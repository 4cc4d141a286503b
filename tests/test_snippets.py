"""Every example of every page runs as it stands, but those that are slow or need what is not here."""

import subprocess
import sys
from itertools import count

import pytest

from docs import snippets

pytestmark = pytest.mark.long

PAGES = snippets.page_names()
FAST = [page for page in PAGES if list(snippets.runnable(page, False))]


@pytest.fixture
def page(tmp_path, monkeypatch):
    """Return a function that makes a page of a text and runs its examples."""
    monkeypatch.setattr(snippets, "ROOT", tmp_path)
    numbers = count()

    def run(text, **options):
        (tmp_path / "page.md").write_text(text)
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        return snippets.run_page("page.md", folder, **options)

    return run


@pytest.mark.parametrize("name", FAST)
def test_examples_run(name, tmp_path):
    assert snippets.run_page(name, tmp_path) == []


@pytest.mark.parametrize("name", PAGES)
def test_every_block_says_what_it_is(name):
    for snippet in snippets.snippets_of(name):
        assert snippet.kind != "text" or not snippet.body.startswith(("vitric ", "make sim", "python", ">>> "))


@pytest.mark.parametrize("snippet", [one for page in PAGES for one in snippets.snippets_of(page)
                                     if one.kind == "python" and one.needs not in (None, "names")], ids=str)
def test_programs_that_cannot_run_here_have_no_undefined_names(snippet):
    done = subprocess.run([sys.executable, "-m", "ruff", "check", "--select", "F", "--ignore", "F401", "-"],
                          input=snippet.body, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_failures_are_found(page):
    for body, words in (("```shell\nfalse\ntrue\n```\n", "status 1"), ("```shell\necho $nothing\n```\n", "unbound"),
                        ("```python\nnames\n```\n", "NameError"), ("```python\n>>> 1 + 1\n3\n\n```\n", "Got:\n    2")):
        failed, = page(f"# Page\n\n{body}")
        assert failed.startswith("page.md:3: ") and words in failed


def test_examples_of_a_page_follow_one_another(page, tmp_path):
    session = ("```python\n>>> from pathlib import Path\n>>> y = int(Path('x').read_text())\n\n```\n"
               "```python\n>>> y + 1\n4\n\n```\n")
    assert page(f"```shell\necho 3 > x\n```\n{session}") == []
    assert sorted(path.name for path in (tmp_path / "0").iterdir()) == ["models", "x"]


def test_slow_examples_wait_for_their_option(page):
    text = "```shell slow\nfalse\n```\n```shell needs board\nfalse\n```\n```text\nfalse\n```\n"
    assert page(text) == []
    assert len(page(text, slow=True)) == 1


@pytest.mark.parametrize("fence", ["", "bash", "shell quick", "shell needs", "shell needs luck", "shell needs board x"])
def test_an_unknown_fence_is_named(page, fence):
    with pytest.raises(ValueError, match="page.md:2: a code block must begin with text, mermaid, shell, python"):
        page(f"\n```{fence}\nx\n```\n")
