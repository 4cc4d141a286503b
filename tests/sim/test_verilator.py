# amaranth: UnusedElaboratable=no
import pytest
from vitric.sim.runner import BUILD, build_model
from vitric.sim.verilator import Verilator, runtime_cache

from tests.sim.test_runner import AddOne


def build(folder):
    """Build a simulator; return whether the runtime library was compiled for it."""
    build_model(AddOne(), build_dir=folder)
    assert (folder / BUILD / "top").exists()
    return " -c -o verilated.o " in " ".join((folder / "build.log").read_text().split())


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return runtime_cache()


def test_the_runtime_library_is_compiled_once(cache, tmp_path):
    assert build(tmp_path / "first")
    kept, = cache.iterdir()
    assert {path.name for path in kept.iterdir()} >= {"verilated.o", "verilated_vpi.o"}
    assert not build(tmp_path / "second") and list(cache.iterdir()) == [kept]


def test_a_cache_that_cannot_be_written_is_done_without(cache, tmp_path):
    cache.parent.mkdir(parents=True)
    cache.write_text("a file")
    (tmp_path / "verilated.o").write_text("an object")
    runner = Verilator(environment={}, waves=False, runtime_key="key")
    runner.build_dir = tmp_path
    runner._keep_runtime()
    runner._seed_runtime()
    assert cache.read_text() == "a file" and (tmp_path / "verilated.o").read_text() == "an object"
