"""`vitric load`: give a running board another model."""

from typing import Annotated

import typer
from vitric.golden.errors import UserError

from ..inputs.options import Baud, MaxBaud, ProjectName
from ..project.streams import StreamFile, model_stream
from ..reports.console import console

__all__ = ["load_command"]


def load_command(
    port: Annotated[str, typer.Option(help="Serial port of the board, for example /dev/ttyUSB0.")],
    model: StreamFile = None,
    project: ProjectName = None,
    baud: Baud = 1_000_000,
    max_baud: MaxBaud = 3_000_000,
) -> None:
    """Load a model stream, or a project's model, into a board over its serial port; it stays until the power is off.

    The stream is checked before anything is sent. If the load fails, the board goes on with the model it had; if it is
    interrupted, the same command goes on where it stopped.
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from ..inputs.device import matching_info, open_device, speed_up

    name, stream = model_stream(model, project)
    with open_device(port, baud) as device:
        info = matching_info(device, stream.spec, name)
        if len(stream) > info.capacity:
            raise UserError(f"{name} has {len(stream)} words, the board has room for {info.capacity}")
        speed_up(device, max_baud)
        columns = TextColumn("load"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
        terminal = console(stderr=True)
        with Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as bar:
            task = bar.add_task("load", total=len(stream.data))
            device.load(stream.data, lambda done, total: bar.update(task, completed=done))
    console().print(f"{name}: {len(stream)} words are in use", markup=False)
