"""The command line ``vitric``: a table of commands, each imported only when it is used."""

import sys
import warnings
from importlib import import_module
from typing import Annotated

import typer
from typer.core import TyperCommand, TyperGroup
from vitric.golden.errors import ModelWarning

from .reports.console import console
from .reports.errors import told

__all__ = ["COMMANDS", "app"]

COMMANDS = {
    "init": "Write the file of a project: one's own checkpoint and pictures.",
    "doctor": "Show every tool and package: version, path, source.",
    "generate": "Write the accelerator or a unit as Verilog, ports as JSON.",
    "synth": "Measure area and clock of one unit on a device.",
    "sim": "Run test images through the generated hardware, compare with golden.",
    "formal": "Prove properties of the hardware for every input.",
    "mutate": "Plant faults in a unit and count those that its bench catches.",
    "train": "Train a float ViT, on pictures of one's own too.",
    "quantize": "Quantize a float ViT and report its accuracy.",
    "qat": "Train a ViT as the integer model that it becomes, down to 2 bits.",
    "prune": "Prune weights or heads of a float ViT and train it further.",
    "allocate": "Choose the widths of every layer under a budget.",
    "images": "Make calibration images from the model alone.",
    "export": "Write a quantized model as QONNX, for other tools.",
    "study": "Run an experiment of the survey: table, plot and JSON, resumable.",
    "compile": "Compile an integer model to a model stream.",
    "inspect": "Check a model stream and show its commands.",
    "fit": "Choose the accelerator for a model and a board.",
    "cycles": "Predict the cycles of one image from its model stream.",
    "bitstream": "Synthesize, place and route: a bitstream, a report.",
    "program": "Load the bitstream into the board.",
    "load": "Give a running board another model over its serial port.",
    "flash": "Write a model into the board's flash: it is there from power-on.",
    "infer": "Run an image on a board.",
    "run": "Classify pictures with the integer model, and in the generated hardware.",
    "report": "Write one page of HTML: accuracy, images, cycles, area, memory.",
    "demo": "Show the hardware in a browser: draw, see what it makes of it.",
    "samples": "Write test images as files.",
}
"""One line for ``vitric --help`` by name; the command NAME is ``NAME_command`` in ``vitric.flow.commands.NAME``."""


class _LazyGroup(TyperGroup):
    """Commands from :data:`COMMANDS`; a warning is one line, and so is an error: see :func:`~.reports.errors.told`."""

    _listing = False

    def list_commands(self, ctx):
        return list(COMMANDS)

    def get_command(self, ctx, cmd_name):
        if cmd_name not in COMMANDS:
            return None
        if self._listing:
            return TyperCommand(name=cmd_name, help=COMMANDS[cmd_name])
        module = import_module(f"vitric.flow.commands.{cmd_name}")
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        single.command(cmd_name)(getattr(module, f"{cmd_name}_command"))
        return typer.main.get_command(single)

    def format_help(self, ctx, formatter):
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False

    def parse_args(self, ctx, args):
        if not args:  # shows the help
            return super().parse_args(ctx, args)
        with told():
            return super().parse_args(ctx, args)

    def invoke(self, ctx):
        with told(), warnings.catch_warnings():
            warnings.showwarning = _show_warning
            warnings.simplefilter("always", ModelWarning)
            return super().invoke(ctx)


def _show_warning(message, category, filename, lineno, file=None, line=None):
    """Print a warning of ours as one line, any other one as Python does."""
    if issubclass(category, ModelWarning):
        console(stderr=True).print(f"vitric: warning: {message}", markup=False, style="yellow")
    else:
        sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))


app = typer.Typer(cls=_LazyGroup, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        sys.stdout.write(f"vitric {version('vitric')}\n")
        raise typer.Exit


@app.callback()
def _vitric(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Turn a Vision Transformer in PyTorch into an FPGA bitstream, with the same integers at every step.

    Exit status: 0 done, 1 a check failed, 2 something for the user to put right or a tool that failed, 130 interrupted.
    """
