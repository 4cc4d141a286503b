"""Model streams that are wrong in a chosen way, made from a good one.

A *block* is a dictionary of fields and the bytes of its operands; :func:`assemble` computes every check word anew,
so that only what was changed is wrong.
"""

import zlib

import numpy as np
from vitric.compiler.stream import ModelStream
from vitric.compiler.words import pack_rows
from vitric.golden.spec.command import (
    COMMAND_FIELDS,
    FIELD_BITS,
    HEADER_FIELDS,
    Flag,
    Opcode,
    Target,
)


def blocks_of(stream):
    """Return [(fields, operands)]: the header first, END last."""
    size = stream.spec.model_bits // 8
    fields = np.frombuffer(stream.data[:2 * len(HEADER_FIELDS)], dtype="<u2").tolist()
    blocks = [(dict(zip(HEADER_FIELDS, fields, strict=True)), b"")]
    block_words = -(-FIELD_BITS * len(COMMAND_FIELDS) // stream.spec.model_bits) + 1
    for command in stream.commands():
        start, end = command.position + block_words, command.position + command.words
        blocks.append((dict(command.fields), stream.data[start * size:end * size]))
    return blocks


def assemble(blocks, spec, *, check=True):
    """Return the words of a stream with right check words (all of them zero without ``check``)."""
    data, crc, size = bytearray(), 0, spec.model_bits // 8
    for fields, operands in blocks:
        values = np.array(list(fields.values())) & (1 << FIELD_BITS) - 1
        block = pack_rows(values, FIELD_BITS, spec.model_bits, signed=False).tobytes()
        crc = zlib.crc32(block, crc)
        word = (crc if check else 0).to_bytes(size, "little")
        crc = zlib.crc32(operands, zlib.crc32(word, crc))
        data += block + word + operands
    return ModelStream(bytes(data), spec).words


def changed(stream, number, **fields):
    """Return the words of ``stream`` with some fields of block ``number`` changed."""
    blocks = blocks_of(stream)
    blocks[number] = ({**blocks[number][0], **fields}, blocks[number][1])
    return assemble(blocks, stream.spec)


def find(stream, opcode, target=None, flag=None):
    """Return the number of the first such command."""
    return next(
        command.fields["index"] for command in stream.commands()
        if command.opcode is opcode and (target is None or command.target is target)
        and (flag is None or flag in command.flags))


def operand_positions(stream):
    """Return {kind: position of a model word in the middle of such operands}."""
    spec, positions = stream.spec, {}
    block_words = -(-FIELD_BITS * len(COMMAND_FIELDS) // spec.model_bits) + 1
    for command in stream.commands():
        start = command.position + block_words
        if command.opcode is Opcode.LOAD:
            positions["load"] = start + (command.words - block_words) // 2
        elif command.opcode is Opcode.NORM:
            positions["norm"] = start + (command.words - block_words) // 2
        elif Flag.NEW_TABLE in command.flags:
            positions["table"] = start + 10
        elif command.target is Target.RESIDUAL:
            positions["channels"], positions["weights"] = start + 1, command.position + command.words - 1
    return positions


def flipped(words, position, bit):
    """Return the words with one bit wrong."""
    return [*words[:position], words[position] ^ 1 << bit, *words[position + 1:]]
