"""`vitric compile`, `vitric inspect` and `vitric cycles`: model streams made and shown on the command line."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from .report import UserError, console, write_json

__all__ = ["command_row", "compile_command", "cycles_command", "describe", "inspect_command", "named_spec"]


def named_spec(name: str):
    """Return the named accelerator spec; :exc:`UserError` lists the names if there is none."""
    from vitric.golden.spec.accelerator import SPECS

    if name not in SPECS:
        raise UserError(f"unknown accelerator {name!r}; the named ones are {', '.join(SPECS)}")
    return SPECS[name]


def compile_command(
    model: Annotated[Path, typer.Option(help="Integer model (*.safetensors), as `vitric quantize` writes it.")],
    config: Annotated[str, typer.Option(help="Named accelerator spec, for example digits.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Model stream to write.")],
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the figures as JSON; - is stdout.")
    ] = None,
) -> None:
    """Compile an integer model to the model stream of an accelerator.

    If the model does not fit, the error lists every capacity with what is needed and what there is.
    """
    from vitric.golden.integer.storage import load_integer

    from .compile import compile_model

    spec = named_spec(config)
    try:
        integer = load_integer(model)
    except (OSError, ValueError) as error:
        raise UserError(str(error)) from error
    compiled = compile_model(integer, spec)
    compiled.stream.save(out)
    figures = describe(compiled.stream) | {"file": str(out), "act_words_used": compiled.act_words}
    del figures["commands"]
    if json_file is not None:
        write_json(json_file, figures)
    console(stderr=str(json_file) == "-").print(
        f"{out}: {figures['bytes']} bytes for {spec.name}, {figures['command_count']} commands, "
        f"{compiled.act_words} of {spec.act_words} activation words", markup=False)


def command_row(command) -> dict:
    """Return what the table and the JSON show of one :class:`~vitric.flow.decode.Command`."""
    from vitric.golden.spec.command import Opcode

    fields = command.fields
    row = {"index": fields["index"], "opcode": command.opcode.name, "target": "", "flags": [], "planes": command.planes,
           "a_wait": fields["a_wait"], "w_wait": fields["w_wait"], "groups": fields["groups"], "sets": fields["sets"],
           "set_tiles": fields["set_tiles"], "k_words": fields["k_words"], "passes": 0, "columns": fields["columns"],
           "dst_base": fields["dst_base"], "position": command.position, "words": command.words}
    if command.opcode is Opcode.MATMUL:
        row |= {"target": command.target.name, "flags": [flag.name for flag in command.flags],
                "passes": len(command.passes)}
    return row


def describe(stream) -> dict:
    """Return the figures of a :class:`~vitric.flow.stream.ModelStream` and one row per command, ready for JSON."""
    commands = stream.commands()
    return {
        "spec": stream.spec.name, "spec_hash": stream.spec.hash, "model_bits": stream.spec.model_bits,
        "bytes": len(stream.data), "words": len(stream), "command_count": len(commands),
        "commands": [command_row(command) for command in commands],
    }


def inspect_command(
    file: Annotated[Path, typer.Argument(help="Model stream.")],
    config: Annotated[
        str | None, typer.Option(help="Accelerator spec it must be for; by default the named one that it is for.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout instead of a table.")] = False,
) -> None:
    """Check a model stream and show its commands.

    Every check word, index and size is verified first; a damaged file ends with an error that names the block.
    """
    from .stream import ModelStream

    stream = ModelStream.load(file, named_spec(config) if config else None)
    figures = describe(stream)
    if as_json:
        sys.stdout.write(json.dumps(figures, indent=2) + "\n")
        return
    out = console()
    out.print(f"{file}: {figures['bytes']} bytes, {len(stream)} words of {stream.spec.model_bits} bits for "
              f"{stream.spec.name}", markup=False, soft_wrap=True)
    for line in _table(figures["commands"]):
        out.print(line, markup=False, soft_wrap=True)


def _table(rows: list[dict]) -> list[str]:
    """Return the lines of the table; they are never cut, however narrow the terminal is."""
    lines = [("#", "command", "flags", "planes", "waits", "groups", "sets", "tiles", "k", "passes", "words")]
    for row in rows:
        waits = ",".join(str(row[name]) for name in ("a_wait", "w_wait") if row[name])
        numbers = (row[name] for name in ("groups", "sets", "set_tiles", "k_words", "passes", "words"))
        lines.append((str(row["index"]), f"{row['opcode']} {row['target']}".strip(), " ".join(row["flags"]).lower(),
                      str(row["planes"]), waits, *map(str, numbers)))
    return _aligned(lines, left=(1, 2))


def _aligned(lines: list[tuple[str, ...]], left: tuple[int, ...]) -> list[str]:
    """Return the lines with their cells in columns, those in ``left`` to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.ljust(width) if place in left else cell.rjust(width)
                      for place, (cell, width) in enumerate(zip(line, widths, strict=True))) for line in lines]


def cycles_command(
    file: Annotated[Path, typer.Argument(help="Model stream.")],
    config: Annotated[
        str | None, typer.Option(help="Accelerator spec it must be for; by default the named one that it is for.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout, command by command.")] = False,
) -> None:
    """Predict the cycles of one image from its model stream, without simulating it.

    The table has one line for each kind of command: how many there are, the cycles between their completion and
    that of the command before, their share of all cycles, and the beats of the array.
    """
    from .cycles import predict
    from .stream import ModelStream

    stream = ModelStream.load(file, named_spec(config) if config else None)
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
    lines += [(name, str(count), str(cycles), f"{cycles / prediction.cycles:.1%}", str(beats))
              for name, (count, cycles, beats) in kinds.items()]
    out = console()
    out.print(f"{file}: {prediction.cycles} cycles per image on {stream.spec.name}, {prediction.beats} beats of the "
              f"array ({prediction.utilization:.1%}), {prediction.model_bytes} bytes of stream",
              markup=False, soft_wrap=True)
    for line in _aligned(lines, left=(0,)):
        out.print(line, markup=False, soft_wrap=True)
