"""The examples of the pages, and how to run them: ``python -m docs.snippets [--slow] [PAGE …]``, or ``make docs-test``.

The word behind the fence of a code block says what it is, the words after it how it runs:

================  =======================================================================================
``text``          not code: formulas, drawings, output
``mermaid``       a diagram
``shell``         commands, run by bash in the order of the page
``python``        a session (``>>>``) whose output is compared, or a program
``… slow``        runs with ``--slow`` only: minutes, or more
``… needs X``     cannot run here: X is ``board``, ``browser``, ``network``, ``imagenet``, ``checkpoint`` or
                  ``pictures`` (one's own), ``repository`` (``.ci/run`` runs it) or ``names`` (a part of a file that
                  CONTRIBUTING describes)
================  =======================================================================================

The examples of a page run one after the other in a folder of their own, with this environment's programs on ``PATH``
and the committed models in ``models/``, so an example may use what the one before it wrote, and nothing is left behind.
"""

import argparse
import doctest
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

from vitric.flow.start import run

from . import imports

__all__ = ["NEEDS", "Snippet", "main", "page_names", "run_page", "runnable", "snippets_of"]

ROOT = imports.ROOT
KINDS = ("text", "mermaid", "shell", "python")
NEEDS = ("board", "browser", "checkpoint", "imagenet", "names", "network", "pictures", "repository")
"""What an example may need that is not here."""


@dataclass(frozen=True, kw_only=True)
class Snippet:
    """One code block.

    Attributes
    ----------
    page : str
        Its file, from the root of the repository.
    line : int
        Of its fence, from 1.
    kind : str
        ``"text"``, ``"mermaid"``, ``"shell"`` or ``"python"``.
    body : str
    slow : bool
    needs : str or None
        One of :data:`NEEDS`.
    """

    page: str
    line: int
    kind: str
    body: str
    slow: bool
    needs: str | None

    def __str__(self):
        return f"{self.page}:{self.line}"


def page_names() -> list[str]:
    """Return the pages of the repository, as paths from its root."""
    found = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT, capture_output=True,
                           text=True, check=True).stdout
    return sorted(found.splitlines())


def snippets_of(page: str) -> list[Snippet]:
    """Return the code blocks of a page; :exc:`ValueError` names one whose fence says nothing that is known."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for match in re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        line = text.count("\n", 0, match.start()) + 1
        kind, *words = match[1].split() or [""]
        needs = words[1] if words[:1] == ["needs"] and len(words) == 2 else None
        if kind not in KINDS or not (words in ([], ["slow"]) or needs in NEEDS):
            raise ValueError(f"{page}:{line}: a code block must begin with {', '.join(KINDS)}, and behind that may be "
                             f"slow, or needs and one of {', '.join(NEEDS)}, not {match[1]!r}")
        found.append(Snippet(page=page, line=line, kind=kind, body=match[2], slow=words == ["slow"], needs=needs))
    return found


def runnable(page: str, slow: bool) -> Iterator[Snippet]:
    """Yield the examples of a page that can run here; the slow ones only with ``slow``."""
    for snippet in snippets_of(page):
        if snippet.kind in ("shell", "python") and not snippet.needs and (slow or not snippet.slow):
            yield snippet


def _run_program(snippet: Snippet, folder: Path) -> str | None:
    """Run commands or a program; return what went wrong."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    program = ["bash", "-euc", snippet.body] if snippet.kind == "shell" else [sys.executable, "-c", snippet.body]
    done = subprocess.run(
        program, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return f"status {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-3000:]}" if done.returncode else None


def _run_session(snippet: Snippet, folder: Path, names: dict) -> str | None:
    """Run a session in the names that the page has so far; return what went wrong."""
    test = doctest.DocTestParser().get_doctest(snippet.body, names, str(snippet), snippet.page, snippet.line)
    said: list[str] = []
    with chdir(folder):
        failed = doctest.DocTestRunner().run(test, out=said.append, clear_globs=False).failed
    names.update(test.globs)
    return "".join(said) if failed else None


def run_page(page: str, folder: Path, *, slow: bool = False) -> list[str]:
    """Run the examples of a page in ``folder``, which is empty; return a text for each that failed.

    ``slow`` runs the slow ones as well. A page whose examples build on slow ones must mark those slow, too.
    """
    (folder / "models").symlink_to(ROOT / "models")
    names: dict = {}
    failed = []
    for snippet in runnable(page, slow):
        session = snippet.kind == "python" and ">>> " in snippet.body
        wrong = _run_session(snippet, folder, names) if session else _run_program(snippet, folder)
        if wrong is not None:
            failed.append(f"{snippet}: {wrong}")
    return failed


def main(arguments: list[str] | None = None) -> int:
    """Run the examples of pages; return the exit status."""
    from vitric.flow.reports.console import console

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--slow", action="store_true", help="also examples that take minutes or hours")
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="for example docs/qonnx.md; all by default")
    options = parser.parse_args(arguments)
    failures = 0
    for page in options.pages or page_names():
        count = len(list(runnable(page, options.slow)))
        console().print(f"{page}: {count} examples", markup=False)
        with tempfile.TemporaryDirectory() as folder:
            for text in run_page(page, Path(folder), slow=options.slow):
                failures += 1
                console().print(text, markup=False, style="red")
    return 1 if failures else 0


if __name__ == "__main__":
    run(main)
