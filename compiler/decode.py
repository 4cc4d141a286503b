"""The second reader of the model stream, in software: every check and every operand, block by block."""

import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import (
    CHANNEL_BITS,
    COMMAND_FIELDS,
    FIELD_BITS,
    HEADER_FIELDS,
    LIMIT_MAX,
    MAGIC,
    SIGNED_FIELDS,
    TABLE_ENTRY_BITS,
    VERSION,
    VERSION_BITS,
    Flag,
    Opcode,
    Target,
)

from .check import StreamError, check_command
from .words import row_bytes, unpack_rows

__all__ = ["Command", "StreamError", "decode", "read_header"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Command:
    """One command of a model stream and its operands; operands that it does not have are ``None``.

    Attributes
    ----------
    fields : dict of str to int
        By the names of :data:`~vitric.golden.spec.command.COMMAND_FIELDS`.
    position, words : int
        Model word at which the command block starts, and model words of block and operands.
    table : int64 array (256,)
        Code table.
    bias, multiplier, shift : int64 arrays (sets, set_tiles * cols)
        Channel words of a MATMUL.
    beta, gamma : int64 arrays (columns,)
        Channel words of a NORM.
    weights : int64 array (sets, set_tiles, planes, k_words, cols, depth)
        Digits.
    residual : int64 array (groups, columns, rows)
        Operand of a LOAD.
    """

    fields: dict[str, int]
    position: int
    words: int
    table: np.ndarray | None = None
    bias: np.ndarray | None = None
    multiplier: np.ndarray | None = None
    shift: np.ndarray | None = None
    beta: np.ndarray | None = None
    gamma: np.ndarray | None = None
    weights: np.ndarray | None = None
    residual: np.ndarray | None = None

    @cached_property
    def opcode(self) -> Opcode:
        """What the command does."""
        return Opcode(self.fields["opcode"] & 0xFF)

    @cached_property
    def target(self) -> Target:
        """Where a MATMUL's results go."""
        return Target(self.fields["opcode"] >> 8 & 0xF)

    @cached_property
    def flags(self) -> Flag:
        """Flag bits."""
        return Flag(self.fields["flags"] & 0xFF)

    @cached_property
    def planes(self) -> int:
        """Planes of the code that the command writes."""
        return (self.fields["flags"] >> 8 & 3) + 1

    @cached_property
    def passes(self) -> list[tuple[int, int, int]]:
        """``(plane of A, plane of the weights, shift index)`` of each pass of a MATMUL, up to the last one."""
        passes = []
        for byte in np.array([self.fields["passes01"], self.fields["passes23"]], dtype="<u2").view(np.uint8).tolist():
            passes.append((byte & 3, byte >> 2 & 3, byte >> 4 & 3))
            if byte & 0x80:
                break
        return passes


def read_header(data: bytes) -> dict[str, int]:
    """Return magic, version, limit, spec (hash), words and commands of the stream ``data``.

    Raises
    ------
    StreamError
        ``data`` is shorter than a header, or no model stream of this version.
    """
    size = len(HEADER_FIELDS) * FIELD_BITS // 8
    if len(data) < size:
        raise StreamError(f"model stream is truncated: {len(data)} bytes are less than its header of {size}")
    fields = dict(zip(HEADER_FIELDS, np.frombuffer(data[:size], dtype="<u2").tolist(), strict=True))
    header = {name: fields[f"{name}_low"] | fields[f"{name}_high"] << 16 for name in ("magic", "spec", "words")}
    limit, version = divmod(fields["version"], 1 << VERSION_BITS)
    header |= {"version": version, "limit": limit, "commands": fields["commands"]}
    if header["magic"] != MAGIC:
        raise StreamError(f"not a model stream: magic number is {header['magic']:#010x}, not {MAGIC:#010x}")
    if header["version"] != VERSION:
        raise StreamError(f"model stream has version {header['version']}, this software reads version {VERSION}")
    if limit > LIMIT_MAX:
        raise StreamError(f"model stream may take 2**{limit} cycles, more than the 2**{LIMIT_MAX} of any")
    return header


class _Reader:
    """Position in the bytes of a stream."""

    def __init__(self, data: bytes, spec: AcceleratorSpec):
        self.data = data
        self.spec = spec
        self.word_bytes = spec.model_bits // 8
        self.position = 0
        self.crc = 0
        self.blocks = 0

    def take(self, size: int) -> np.ndarray:
        """Return the next ``size`` bytes, a whole number of model words."""
        part = self.data[self.position:self.position + size]
        if len(part) < size:
            raise StreamError(f"model stream is truncated: {len(self.data)} bytes, block {self.blocks} and its "
                              f"operands need {self.position + size}")
        self.crc = zlib.crc32(part, self.crc)
        self.position += size
        return np.frombuffer(part, dtype=np.uint8)

    def rows(self, shape: tuple[int, ...], lanes: int, bits: int, *, signed: bool) -> np.ndarray:
        """Return ``shape`` rows of ``lanes`` numbers."""
        size = row_bytes(lanes, bits, self.spec.model_bits)
        data = self.take(int(np.prod(shape)) * size).reshape(*shape, size)
        return unpack_rows(data, lanes, bits, signed=signed)

    def channels(self, count: int) -> np.ndarray:
        """Return channel words as bytes, uint8 (count, 8)."""
        size = CHANNEL_BITS // 8
        return self.rows((), count * size, 8, signed=False).astype(np.uint8).reshape(count, size)

    def block(self, names: tuple[str, ...]) -> dict[str, int]:
        """Return the fields of the next block, its check word verified."""
        fields = self.rows((), len(names), FIELD_BITS, signed=False)
        expected = self.crc
        check = self.take(self.word_bytes)
        found = int.from_bytes(check.tobytes(), "little")
        if found != expected:
            raise StreamError(f"model stream is damaged at or before block {self.blocks}, word "
                              f"{self.position // self.word_bytes - 1}: check word {found:#010x}, not {expected:#010x}")
        self.blocks += 1
        half = 1 << FIELD_BITS - 1
        return {name: int(value) - (2 * half if name in SIGNED_FIELDS and value >= half else 0)
                for name, value in zip(names, fields, strict=True)}


def _matmul_operands(reader: _Reader, fields: dict[str, int]) -> dict[str, np.ndarray]:
    """Read table, channel words and weights of a MATMUL."""
    spec, operands = reader.spec, {}
    flags = fields["flags"]
    if flags & Flag.NEW_TABLE:
        operands["table"] = reader.rows((), spec.gelu.entries, TABLE_ENTRY_BITS, signed=False)
    channels, weights = [], []
    tiles, k_words = fields["set_tiles"], fields["k_words"]
    for _ in range(fields["sets"]):
        if not flags & Flag.KEY_BIAS:
            channels.append(reader.channels(tiles * spec.cols))
        if not flags & Flag.WEIGHTS_ACT:
            words = reader.rows((fields["set_words"],), spec.cols * spec.depth, spec.w_bits, signed=True)
            weights.append(words.reshape(tiles, -1, k_words, spec.cols, spec.depth))
    if channels:
        raw = np.ascontiguousarray(np.stack(channels))
        operands["bias"] = raw[..., 0:4].view("<i4")[..., 0].astype(np.int64)
        operands["multiplier"] = raw[..., 4:6].view("<u2")[..., 0].astype(np.int64)
        operands["shift"] = raw[..., 6].astype(np.int64)
    if weights:
        operands["weights"] = np.stack(weights)
    return operands


def _operands(reader: _Reader, fields: dict[str, int]) -> dict[str, np.ndarray]:
    """Read the operands of one command."""
    spec, opcode = reader.spec, fields["opcode"] & 0xFF
    if opcode == Opcode.MATMUL:
        return _matmul_operands(reader, fields)
    if opcode == Opcode.NORM:
        raw = reader.channels(fields["columns"])
        return {"beta": np.ascontiguousarray(raw[:, 0:4]).view("<i4")[:, 0].astype(np.int64),
                "gamma": np.ascontiguousarray(raw[:, 4:6]).view("<i2")[:, 0].astype(np.int64)}
    if opcode == Opcode.LOAD:
        shape = (fields["groups"], fields["columns"])
        return {"residual": reader.rows(shape, spec.rows, spec.residual_bits, signed=True)}
    return {}


def decode(data: bytes, spec: AcceleratorSpec) -> list[Command]:
    """Return the commands of the stream ``data``, everything in it checked.

    Raises
    ------
    StreamError
        Bad magic number or version, another spec's stream, truncated or too long, a wrong check word (with the
        number of the block, the header being block 0), an unknown command, an index out of order, a wait for a
        command that is not before it, sizes beyond the spec or that contradict each other, no END, or another number
        of commands than the header states.
    """
    header = read_header(data)
    if header["spec"] != spec.hash:
        raise StreamError(f"model stream is for the spec {header['spec']:#010x}, not {spec.name} ({spec.hash:#010x})")
    reader = _Reader(data, spec)
    if len(data) != header["words"] * reader.word_bytes:
        raise StreamError(f"model stream is truncated or too long: {len(data)} bytes, its header says "
                          f"{header['words'] * reader.word_bytes}")
    reader.block(HEADER_FIELDS)
    commands: list[Command] = []
    while not commands or commands[-1].opcode is not Opcode.END:
        start = reader.position
        fields = reader.block(COMMAND_FIELDS)
        check_command(fields, len(commands) + 1, spec, has_table=any(c.table is not None for c in commands))
        operands = _operands(reader, fields)
        commands.append(Command(fields=fields, position=start // reader.word_bytes,
                                words=(reader.position - start) // reader.word_bytes, **operands))
    if reader.position != len(data) or len(commands) != header["commands"]:
        raise StreamError(f"model stream ends after {len(commands)} commands and {reader.position} bytes, its header "
                          f"says {header['commands']} commands and {len(data)} bytes")
    return commands
