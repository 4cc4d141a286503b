"""`vitric inspect`: what is in a model stream."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..inputs.options import readable
from ..inputs.specs import named_spec
from ..reports.console import console
from ..reports.stream import command_table, describe

__all__ = ["inspect_command"]


def inspect_command(
    file: Annotated[Path, typer.Argument(callback=readable, help="Model stream.")],
    spec: Annotated[
        str | None, typer.Option(metavar="NAME", help="Accelerator spec that it must be for; by default the named one "
                                 "that it is for.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout instead of a table.")] = False,
) -> None:
    """Check a model stream and show its commands.

    Every check word, index and size is verified first; a damaged file ends with an error that names the block.
    """
    from vitric.compiler.stream import ModelStream

    stream = ModelStream.load(file, named_spec(spec) if spec else None)
    figures = describe(stream)
    if as_json:
        sys.stdout.write(json.dumps(figures, indent=2) + "\n")
        return
    out = console()
    out.print(f"{file}: {figures['bytes']} bytes, {len(stream)} words of {stream.spec.model_bits} bits for "
              f"{stream.spec.name}", markup=False, soft_wrap=True)
    for line in command_table(figures["commands"]):
        out.print(line, markup=False, soft_wrap=True)
