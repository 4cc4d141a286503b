from tests.flow.commands.board import board
from tests.flow.commands.cluster import scheduler
from tests.flow.commands.stream_files import model_file, stream_file

__all__ = ["board", "model_file", "scheduler", "stream_file"]
