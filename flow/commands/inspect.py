"""`vitric inspect`: what is in a model stream."""

import json
import sys
from typing import Annotated

import typer

from ..inputs.options import ProjectName
from ..project.streams import SpecName, StreamFile, model_stream
from ..reports.console import console
from ..reports.stream import command_table, describe

__all__ = ["inspect_command"]


def inspect_command(
    file: StreamFile = None,
    project: ProjectName = None,
    spec: SpecName = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout instead of a table.")] = False,
) -> None:
    """Check a model stream and show its commands.

    Every check word, index and size is verified first; a damaged file ends with an error that names the block.
    """
    name, stream = model_stream(file, project, spec)
    figures = describe(stream)
    if as_json:
        sys.stdout.write(json.dumps(figures, indent=2) + "\n")
        return
    out = console()
    out.print(f"{name}: {figures['bytes']} bytes, {len(stream)} words of {stream.spec.model_bits} bits for "
              f"{stream.spec.name}", markup=False, soft_wrap=True)
    for line in command_table(figures["commands"]):
        out.print(line, markup=False, soft_wrap=True)
