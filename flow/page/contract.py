"""The section with the contract: number formats of every tensor, and the stream command by command."""

from vitric.golden.tensors import tensor

from ..reports.stream import command_row
from .codes import codes_of
from .found import Found
from .parts import Part, Section, Table

__all__ = ["contract"]


def contract(found: Found) -> Section:
    """Return number formats as golden and hardware share them, and every command."""
    parts: list[Part] = [_formats(found), _commands(found)]
    return Section(name="contract", title="Hardware contract", parts=parts)


def _formats(found: Found) -> Table:
    """Return the codes of every tensor, and how the shown images use them."""
    rows = []
    for name, values in found.golden[1].items():
        low, high, zero = codes_of(found.model, name)
        ends, shape = (values == low) | (values == high), " × ".join(str(size) for size in values.shape[1:])
        rows.append((
            name, tensor(name).kind, shape, _width(low, high), f"{low} to {high}", "" if zero is None else str(zero),
            f"{int(values.min())} to {int(values.max())}", f"{float(ends.double().mean()):.1%}"))
    return Table(title="Tensors", header=(
        "tensor", "kind", "shape", "bits", "codes", "zero point", "in these images", "at an end"), rows=rows, numbers=2,
        search=True)


def _width(low: int, high: int) -> str:
    if low >= 0:
        return str(max(1, high.bit_length()))
    return f"{max((-low - 1).bit_length(), high.bit_length()) + 1}, signed"


def _commands(found: Found) -> Table:
    rows = []
    for command in found.compiled.stream.commands():
        row = command_row(command)
        waits = ", ".join(str(row[name]) for name in ("a_wait", "w_wait") if row[name])
        rows.append((str(row["index"]), found.names.get(row["index"], ""), f"{row['opcode']} {row['target']}".strip(),
                     " ".join(row["flags"]).lower(), waits, *(str(row[name]) for name in (
                         "planes", "groups", "sets", "set_tiles", "k_words", "passes", "dst_base", "words"))))
    return Table(title="Model stream", header=(
        "#", "makes", "command", "flags", "waits for", "planes", "groups", "sets", "tiles", "k", "passes", "to word",
        "model words"), rows=rows, numbers=4, search=True)
