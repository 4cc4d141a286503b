"""`vitric compile`: an integer model becomes a model stream."""

from pathlib import Path
from typing import Annotated

import typer
from vitric.golden.errors import UserError
from vitric.golden.files import write_json

from ..inputs.options import JsonFile, check_output, readable
from ..inputs.specs import named_spec
from ..reports.console import console
from ..reports.stream import describe

__all__ = ["compile_command"]


def compile_command(
    model: Annotated[
        Path, typer.Option(callback=readable, help="Integer model (*.safetensors), as `vitric quantize` writes it.")],
    spec: Annotated[str, typer.Option(metavar="NAME", help="Accelerator spec by name, for example digits.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Model stream to write.")],
    json_file: JsonFile = None,
) -> None:
    """Compile an integer model to the model stream of an accelerator.

    If the model does not fit, the error lists every capacity with what is needed and what there is.
    """
    from vitric.compiler.compile import compile_model
    from vitric.golden.integer.storage import load_integer

    accelerator = named_spec(spec)
    check_output(out)
    try:
        integer = load_integer(model)
    except (OSError, ValueError) as error:
        raise UserError(str(error)) from error
    compiled = compile_model(integer, accelerator)
    compiled.stream.save(out)
    figures = describe(compiled.stream) | {"file": str(out), "act_words_used": compiled.act_words}
    del figures["commands"]
    if json_file is not None:
        write_json(json_file, figures)
    console(stderr=str(json_file) == "-").print(
        f"{out}: {figures['bytes']} bytes for {accelerator.name}, {figures['command_count']} commands, "
        f"{compiled.act_words} of {accelerator.act_words} activation words", markup=False)
