import pytest

from tests.flow.commands.board import board, loader
from tests.flow.commands.cluster import scheduler
from tests.flow.commands.stream_files import model_file, stream_file
from tests.flow.project.own import write_own

__all__ = ["board", "loader", "model_file", "scheduler", "stream_file"]


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Return the arguments of `vitric init` for a checkpoint and pictures that lie in the folder in which it runs."""
    monkeypatch.chdir(tmp_path)
    write_own(tmp_path)
    return ["--weights", "vit.safetensors", "--data", "pictures", "--heads", 2]
