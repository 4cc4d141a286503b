"""The command line ``vitric``: a table of commands, each imported only when it is used."""

import sys
from importlib import import_module
from typing import Annotated

import typer
from typer.core import TyperCommand, TyperGroup

from .report import UserError, console

__all__ = ["COMMANDS", "app"]

COMMANDS = {
    "doctor": ("vitric.flow.doctor:doctor_command", "Show every tool and package: version, path, source."),
    "generate": ("vitric.flow.generate:generate_command", "Write the accelerator or a unit as Verilog, ports as JSON."),
    "synth": ("vitric.flow.unit_synthesis:synth_command", "Measure area and clock of one unit on a device."),
    "sim": ("vitric.flow.simulate:sim_command", "Run test images through the generated hardware, compare with golden."),
    "formal": ("vitric.flow.formal:formal_command", "Prove properties of the hardware for every input."),
    "mutate": ("vitric.flow.mutate:mutate_command", "Plant faults in a unit and count those that its bench catches."),
    "train": ("vitric.flow.train:train_command", "Train a float ViT."),
    "quantize": ("vitric.flow.quantize:quantize_command", "Quantize a float ViT and report its accuracy."),
    "qat": ("vitric.flow.qat:qat_command", "Train a ViT as the integer model that it becomes, down to 2 bits."),
    "prune": ("vitric.flow.prune:prune_command", "Prune weights or heads of a float ViT and train it further."),
    "allocate": ("vitric.flow.allocate:allocate_command", "Choose the widths of every layer under a budget."),
    "synthesize": ("vitric.flow.synthesize:synthesize_command", "Make calibration images from the model alone."),
    "export": ("vitric.flow.export:export_command", "Write a quantized model as QONNX, for other tools."),
    "study": ("vitric.flow.study:study_command", "Run an experiment of the survey: table, plot and JSON, resumable."),
    "compile": ("vitric.flow.inspect:compile_command", "Compile an integer model to a model stream."),
    "inspect": ("vitric.flow.inspect:inspect_command", "Check a model stream and show its commands."),
    "cycles": ("vitric.flow.inspect:cycles_command", "Predict the cycles of one image from its model stream."),
    "bitstream": ("vitric.flow.bitstream:bitstream_command", "Synthesize, place and route: a bitstream, a report."),
    "program": ("vitric.flow.upload:program_command", "Load the bitstream into the board."),
    "load": ("vitric.flow.load:load_command", "Give a running board another model over its serial port."),
    "infer": ("vitric.flow.infer:infer_command", "Run an image on a board."),
}
"""Command name: (``module:function``, one line for ``vitric --help``). The function is a typer command."""


class _LazyGroup(TyperGroup):
    """Commands from :data:`COMMANDS`; a :exc:`UserError` ends the program with one line and status 2."""

    _listing = False

    def list_commands(self, ctx):
        return list(COMMANDS)

    def get_command(self, ctx, cmd_name):
        if cmd_name not in COMMANDS:
            return None
        target, summary = COMMANDS[cmd_name]
        if self._listing:
            return TyperCommand(name=cmd_name, help=summary)
        module, _, function = target.partition(":")
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        single.command(cmd_name)(getattr(import_module(module), function))
        return typer.main.get_command(single)

    def format_help(self, ctx, formatter):
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except UserError as error:
            console(stderr=True).print(f"vitric: {error}", markup=False, style="red")
            raise typer.Exit(2) from error


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

    Exit status: 0 done, 1 a check failed, 2 something for the user to put right.
    """
