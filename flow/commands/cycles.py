"""`vitric cycles`: how long a model stream takes, predicted."""

import json
import sys
from typing import Annotated

import typer

from ..inputs.options import ProjectName
from ..project.streams import SpecName, StreamFile, model_stream
from ..reports.console import console
from ..reports.stream import aligned

__all__ = ["cycles_command"]


def cycles_command(
    file: StreamFile = None,
    project: ProjectName = None,
    spec: SpecName = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout, command by command.")] = False,
) -> None:
    """Predict the cycles of one image from its model stream, without simulating it.

    The table has one line for each kind of command: how many there are, the cycles between their completion and
    that of the command before, their share of all cycles, and the beats of the array.
    """
    from vitric.compiler.cycles import predict

    name, stream = model_stream(file, project, spec)
    prediction = predict(stream.commands(), stream.spec)
    if as_json:
        sys.stdout.write(json.dumps(prediction.as_dict(), indent=2) + "\n")
        return
    kinds: dict[str, list[int]] = {}
    before = 0
    for command in prediction.commands:
        kind = kinds.setdefault(command.name, [0, 0, 0])
        kind[:] = kind[0] + 1, kind[1] + command.done - before, kind[2] + command.beats
        before = command.done
    lines = [("command", "count", "cycles", "share", "beats")]
    lines += [(word, str(count), str(cycles), f"{cycles / prediction.cycles:.1%}", str(beats))
              for word, (count, cycles, beats) in kinds.items()]
    out = console()
    out.print(f"{name}: {prediction.cycles} cycles per image on {stream.spec.name}, {prediction.beats} beats of the "
              f"array ({prediction.utilization:.1%}), {prediction.model_bytes} bytes of stream",
              markup=False, soft_wrap=True)
    for line in aligned(lines, left=(0,)):
        out.print(line, markup=False, soft_wrap=True)
