"""A model stream for people and as JSON: its commands, one row for each."""

__all__ = ["aligned", "command_row", "command_table", "describe"]


def command_row(command) -> dict:
    """Return what the table and the JSON show of one :class:`~vitric.compiler.decode.Command`."""
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
    """Return the figures of a :class:`~vitric.compiler.stream.ModelStream` and one row per command, ready for JSON."""
    commands = stream.commands()
    return {
        "spec": stream.spec.name, "spec_hash": stream.spec.hash, "model_bits": stream.spec.model_bits,
        "bytes": len(stream.data), "words": len(stream), "command_count": len(commands),
        "commands": [command_row(command) for command in commands],
    }


def command_table(rows: list[dict]) -> list[str]:
    """Return the lines of a table of :func:`command_row`'s rows; they are never cut, however narrow the terminal is."""
    lines = [("#", "command", "flags", "planes", "waits", "groups", "sets", "tiles", "k", "passes", "words")]
    for row in rows:
        waits = ",".join(str(row[name]) for name in ("a_wait", "w_wait") if row[name])
        numbers = (row[name] for name in ("groups", "sets", "set_tiles", "k_words", "passes", "words"))
        lines.append((str(row["index"]), f"{row['opcode']} {row['target']}".strip(), " ".join(row["flags"]).lower(),
                      str(row["planes"]), waits, *map(str, numbers)))
    return aligned(lines, left=(1, 2))


def aligned(lines: list[tuple[str, ...]], left: tuple[int, ...]) -> list[str]:
    """Return the lines with their cells in columns, those in ``left`` to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.ljust(width) if place in left else cell.rjust(width)
                      for place, (cell, width) in enumerate(zip(line, widths, strict=True))) for line in lines]
