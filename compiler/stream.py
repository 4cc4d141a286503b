"""The model stream as an object: written block by block, saved whole, loaded only if every check holds."""

import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from vitric.golden.errors import UserError
from vitric.golden.files import write_bytes
from vitric.golden.spec.accelerator import SPECS, AcceleratorSpec
from vitric.golden.spec.check import check_int
from vitric.golden.spec.command import (
    COMMAND_FIELDS,
    FIELD_BITS,
    HEADER_FIELDS,
    LIMIT_MAX,
    MAGIC,
    SIGNED_FIELDS,
    VERSION,
    VERSION_BITS,
    Opcode,
)

from .decode import Command, StreamError, decode, read_header
from .words import pack_rows

__all__ = ["ModelStream", "StreamError", "StreamWriter", "check_fields"]


def check_fields(values: Mapping[str, int], index: int) -> None:
    """Raise :exc:`KeyError` for a name that is no field of a command, :exc:`ValueError` for a value that does not fit.

    ``index`` is the number of the command, for the message.
    """
    for name, value in values.items():
        if name not in COMMAND_FIELDS:
            raise KeyError(f"a command has no field {name!r}")
        low, high = (-0x8000, 0x7FFF) if name in SIGNED_FIELDS else (0, 0xFFFF)
        check_int(f"field {name} of command {index}", value, low, high)


@dataclass(frozen=True, eq=False)
class ModelStream:
    """The words of one model for one accelerator.

    Attributes
    ----------
    data : bytes
        The model words, little-endian: the file's contents.
    spec : AcceleratorSpec
        What it was compiled for.
    """

    data: bytes
    spec: AcceleratorSpec

    def __len__(self) -> int:
        """Model words."""
        return len(self.data) * 8 // self.spec.model_bits

    @property
    def words(self) -> list[int]:
        """The model words as integers of ``spec.model_bits`` bits."""
        lanes = np.frombuffer(self.data, dtype="<u4").reshape(len(self), -1).astype(object)
        return sum(lanes[:, lane] << 32 * lane for lane in range(lanes.shape[1])).tolist()

    def commands(self) -> list[Command]:
        """Return the commands with their operands; :exc:`StreamError` if anything in the stream is wrong."""
        return decode(self.data, self.spec)

    def save(self, path: str | os.PathLike) -> None:
        """Write the file so that a reader sees the old one or the whole new one; the folder is created.

        Raises
        ------
        UserError
            The folder or the file cannot be written.
        """
        write_bytes(path, self.data)

    @classmethod
    def load(cls, path: str | os.PathLike, spec: AcceleratorSpec | None = None) -> "ModelStream":
        """Read a file and check all of it.

        Without ``spec``, the named spec with the hash of the header is taken.

        Raises
        ------
        UserError
            The file cannot be read.
        StreamError
            See :func:`vitric.compiler.decode.decode`, or no named spec has the hash.
        """
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}") from error
        try:
            if spec is None:
                number = read_header(data)["spec"]
                spec = next((known for known in SPECS.values() if known.hash == number), None)
                if spec is None:
                    raise StreamError(f"model stream is for the spec {number:#010x}, which is none of "
                                      f"{', '.join(SPECS)}")
            decode(data, spec)
        except StreamError as error:
            raise StreamError(f"{path}: {error}") from None
        return cls(data, spec)


class StreamWriter:
    """Collects commands, then lays out the stream: header, blocks, check words, operands, END.

    Parameters
    ----------
    spec : AcceleratorSpec
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        self._commands: list[tuple[bytes, bytes]] = []

    def _block(self, names: tuple[str, ...], values: Mapping[str, int]) -> bytes:
        fields = np.array([values.get(name, 0) for name in names]) & (1 << FIELD_BITS) - 1
        return pack_rows(fields, FIELD_BITS, self.spec.model_bits, signed=False).tobytes()

    def command(self, values: Mapping[str, int], operands: bytes = b"") -> int:
        """Append one command and return its index; fields not in ``values`` are zero, ``index`` is filled in.

        Raises
        ------
        KeyError
            A name is no field of a command.
        ValueError
            A value does not fit its field, or ``operands`` is no whole number of model words.
        """
        index = len(self._commands) + 1
        check_fields(values, index)
        if len(operands) * 8 % self.spec.model_bits:
            raise ValueError(f"operands of command {index} must fill words of {self.spec.model_bits} bits, "
                             f"not {len(operands)} bytes")
        self._commands.append((self._block(COMMAND_FIELDS, {**values, "index": index}), operands))
        return index

    def finish(self, limit: int = LIMIT_MAX) -> ModelStream:
        """Append END and return the stream, which may take ``2**limit`` cycles.

        Raises
        ------
        ValueError
            ``limit`` is not between 0 and :data:`~vitric.golden.spec.command.LIMIT_MAX`.
        """
        check_int("limit", limit, 0, LIMIT_MAX)
        self.command({"opcode": Opcode.END})
        word_bytes = self.spec.model_bits // 8
        size = len(self._block(HEADER_FIELDS, {})) + word_bytes
        size += sum(len(block) + word_bytes + len(operands) for block, operands in self._commands)
        words, hash_ = size // word_bytes, self.spec.hash
        header = self._block(HEADER_FIELDS, {
            "magic_low": MAGIC & 0xFFFF, "magic_high": MAGIC >> 16, "version": VERSION | limit << VERSION_BITS,
            "spec_low": hash_ & 0xFFFF, "spec_high": hash_ >> 16,
            "words_low": words & 0xFFFF, "words_high": words >> 16, "commands": len(self._commands),
        })
        data, crc = bytearray(), 0
        for block, operands in [(header, b""), *self._commands]:
            crc = zlib.crc32(block, crc)
            check = crc.to_bytes(word_bytes, "little")
            crc = zlib.crc32(operands, zlib.crc32(check, crc))
            data += block + check + operands
        return ModelStream(bytes(data), self.spec)
