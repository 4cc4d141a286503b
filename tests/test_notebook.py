"""The tutorial's notebook runs, and prints what is committed."""

import nbformat

from docs.notebook import NOTEBOOK, execute, printed
from tests.processes import one_at_a_time
from tests.sim.test_accelerator import FOLDER


def test_the_notebook_prints_what_it_shows(tmp_path):
    build = tmp_path / "build" / "tiny"
    build.mkdir(parents=True)
    (build / "verilator").symlink_to(FOLDER)  # the simulator that other tests have, or will have
    with one_at_a_time(FOLDER):
        done = execute(tmp_path)
    assert printed(done) == printed(nbformat.read(NOTEBOOK, as_version=4))


def test_the_notebook_is_small_and_its_pictures_are_there():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert NOTEBOOK.stat().st_size < 60_000
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in shown)
    assert not any(output.output_type == "error" for output in shown)
