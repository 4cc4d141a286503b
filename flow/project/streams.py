"""The model stream that a command works on: a file, or what a project's model compiles to."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from vitric.golden.errors import UserError

from ..inputs.checked import checked
from ..inputs.options import readable
from ..inputs.specs import named_spec

if TYPE_CHECKING:
    from vitric.compiler.stream import ModelStream

__all__ = ["SpecName", "StreamFile", "model_stream"]

StreamFile = Annotated[
    Path | None,
    typer.Argument(callback=readable, show_default=False,
                   help="Model stream, as `vitric compile` writes it; by default that of the project's model."),
]
"""Type of the argument that says which file."""

SpecName = Annotated[
    str | None,
    typer.Option(metavar="NAME", show_default=False,
                 help="Named accelerator that the file must be for; by default the project's, or the named one that "
                      "it is for."),
]
"""Type of the option that says which accelerator."""


def model_stream(file: Path | None, project: str | None, spec: str | None = None) -> "tuple[str, ModelStream]":
    """Return what a message calls a model stream, and the stream, checked.

    Parameters
    ----------
    file
        Of a stream for the accelerator ``spec``, of ``project``, or one of the named ones.
    project
        As of :func:`~vitric.flow.project.project.open_project`; without a file its model is compiled.
    spec
        Name of an accelerator; only with a file and without a project.

    Raises
    ------
    UserError
        The file is damaged or for another accelerator, something of the project is not there, or ``spec`` has nothing
        to say.
    """
    from vitric.compiler.compile import compile_model
    from vitric.compiler.stream import ModelStream

    from .integer import integer_model
    from .project import open_project

    if spec is not None and (file is None or project is not None):
        raise UserError("--spec needs a file, and excludes --project: a project says its accelerator")
    if file is None:
        work = open_project(project)
        return work.name, checked(lambda: compile_model(integer_model(work), work.spec)).stream
    wanted = open_project(project).spec if project is not None else named_spec(spec) if spec else None
    return str(file), ModelStream.load(file, wanted)
