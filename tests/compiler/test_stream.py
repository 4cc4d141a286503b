import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from vitric.compiler.decode import read_header
from vitric.compiler.stream import ModelStream, StreamError, StreamWriter
from vitric.compiler.words import pack_rows, row_bytes, unpack_rows
from vitric.golden.errors import UserError
from vitric.golden.packing import pack
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.spec.command import COMMAND_FIELDS, HEADER_FIELDS, MAGIC, VERSION, Flag, Opcode, Target

TINY = SPECS["tiny"]
SPEC_OF_WIDTH = {bits: replace(SPECS["digits"], name=f"digits{bits}", model_bits=bits) for bits in (32, 64, 128)}


def example(spec) -> tuple[ModelStream, dict]:
    """A stream with every kind of operand, and the arrays that were put into it."""
    rng = np.random.default_rng(7)
    put = {
        "residual": rng.integers(-(1 << 15), 1 << 15, (2, 2 * spec.cols, spec.rows)),
        "bias": rng.integers(-(1 << 31), 1 << 31, (2, 2 * spec.cols)),
        "multiplier": rng.integers(0, 1 << 16, (2, 2 * spec.cols)),
        "shift": rng.integers(0, 4, (2, 2 * spec.cols)),
        "beta": rng.integers(-(1 << 31), 1 << 31, 5),
        "gamma": rng.integers(-(1 << 15), 1 << 15, 5),
        "table": rng.integers(0, 256, 256),
        "weights": rng.integers(-8, 8, (2, 2, 2, 3, spec.cols, spec.depth)),
    }

    def channels(first, second, third):
        parts = (first & 0xFFFFFFFF) | (second & 0xFFFF) << 32 | third << 48
        halves = parts[..., None] >> np.arange(0, 64, 16) & 0xFFFF
        return pack_rows(halves.reshape(*parts.shape[:-1], -1), 16, spec.model_bits, signed=False)

    writer = StreamWriter(spec)
    writer.command({"opcode": Opcode.LOAD, "groups": 2, "columns": 2 * spec.cols, "row_tiles": 2},
                   pack_rows(put["residual"], 16, spec.model_bits, signed=True).tobytes())
    writer.command({"opcode": Opcode.NORM, "a_wait": 1, "groups": 1, "columns": 5, "row_tiles": -(-5 // spec.cols)},
                   channels(put["beta"], put["gamma"], 0 * put["beta"]).tobytes())
    sets = channels(put["bias"], put["multiplier"], put["shift"])
    words = pack_rows(put["weights"].reshape(2, 12, -1), spec.w_bits, spec.model_bits, signed=True)
    body = b"".join(sets[n].tobytes() + words[n].tobytes() for n in range(2))
    table = pack_rows(put["table"], 8, spec.model_bits, signed=False).tobytes()
    writer.command({"opcode": Opcode.MATMUL | Target.CODES << 8, "flags": Flag.TABLE | Flag.NEW_TABLE, "k_words": 3,
                    "sets": 2, "set_tiles": 2, "tile_words": 6, "set_words": 12, "groups": 1, "columns": 2 * spec.cols,
                    "row_tiles": 2, "low": -5, "zero_point": -32768, "passes01": 0x8005}, table + body)
    return writer.finish(), put


def blocks(stream) -> list[tuple[int, int]]:
    """Start and end (behind the check word) of each block, in bytes."""
    word = stream.spec.model_bits // 8
    sizes = [row_bytes(len(names), 16, stream.spec.model_bits) + word for names in (HEADER_FIELDS, COMMAND_FIELDS)]
    return [(0, sizes[0])] + [(c.position * word, c.position * word + sizes[1]) for c in stream.commands()]


def reseal(data: bytes, stream) -> bytes:
    """Recompute every check word."""
    data = bytearray(data)
    word = stream.spec.model_bits // 8
    for _, end in blocks(stream):
        data[end - word:end] = zlib.crc32(data[:end - word]).to_bytes(word, "little")
    return bytes(data)


@pytest.mark.parametrize("bits,signed", [(1, False), (3, True), (4, True), (8, False), (16, True), (32, True)])
def test_pack_rows_is_pack_of_each_row(bits, signed):
    rng = np.random.default_rng(bits)
    low, high = (-(1 << bits - 1), 1 << bits - 1) if signed else (0, 1 << bits)
    values = rng.integers(low, high, (5, 13))
    packed = pack_rows(values, bits, 64, signed=signed)
    assert packed.shape[-1] == row_bytes(13, bits, 64)
    for row, data in zip(values, packed, strict=True):
        assert int.from_bytes(data.tobytes(), "little") == pack(row.tolist(), bits, signed)
    assert (unpack_rows(packed, 13, bits, signed=signed) == values).all()


def test_pack_rows_rejects_what_does_not_fit():
    with pytest.raises(OverflowError, match=r"-9\.\.3 do not fit the -8\.\.7 of 4 bits"):
        pack_rows(np.array([3, -9]), 4, 32, signed=True)
    with pytest.raises(OverflowError, match=r"0\.\.15"):
        pack_rows(np.array([16]), 4, 32, signed=False)


@pytest.mark.parametrize("model_bits", [32, 64, 128])
def test_smallest_stream_by_hand(model_bits):
    spec, word = SPEC_OF_WIDTH[model_bits], model_bits // 8
    stream = StreamWriter(spec).finish(limit=12)

    def padded(data):
        return data + bytes(-len(data) % word)

    block = padded(struct.pack("<HHH", Opcode.END, 0, 1) + bytes(2 * len(COMMAND_FIELDS) - 6))
    words = (16 + len(block)) // word + 2
    header = struct.pack("<IHIIH", MAGIC, VERSION | 12 << 8, spec.hash, words, 1)
    data = header + padded(zlib.crc32(header).to_bytes(4, "little"))
    data += block
    data += padded(zlib.crc32(data).to_bytes(4, "little"))
    assert stream.data == data
    assert stream.data[:4] == b"VTRC"
    assert len(stream) == words == len(stream.words)
    assert stream.words == [int.from_bytes(data[i:i + word], "little") for i in range(0, len(data), word)]


@pytest.mark.parametrize("model_bits", [32, 64, 128])
def test_round_trip(model_bits):
    stream, put = example(SPEC_OF_WIDTH[model_bits])
    load, norm, matmul, end = stream.commands()
    assert [c.opcode for c in (load, norm, matmul, end)] == [Opcode.LOAD, Opcode.NORM, Opcode.MATMUL, Opcode.END]
    assert [c.fields["index"] for c in (load, norm, matmul, end)] == [1, 2, 3, 4]
    for command, names in ((load, ["residual"]), (norm, ["beta", "gamma"]),
                           (matmul, ["bias", "multiplier", "shift", "table", "weights"])):
        for name in put:
            if name in names:
                assert (getattr(command, name) == put[name]).all(), name
            else:
                assert getattr(command, name) is None, name
    assert matmul.fields["low"] == -5 and matmul.fields["zero_point"] == -32768
    assert matmul.passes == [(1, 1, 0), (0, 0, 0)]
    header_words = 128 // model_bits + 1
    assert sum(c.words for c in stream.commands()) + header_words == len(stream) == read_header(stream.data)["words"]
    assert load.position == header_words


def test_save_and_load(tmp_path):
    stream, _ = example(TINY)
    path = tmp_path / "folder" / "model.vtrc"
    stream.save(path)
    assert [p.name for p in path.parent.iterdir()] == ["model.vtrc"]
    for spec in (None, TINY):
        loaded = ModelStream.load(path, spec)
        assert loaded.data == stream.data and loaded.spec is TINY
    with pytest.raises(StreamError, match=r"model.vtrc: .* not digits"):
        ModelStream.load(path, SPECS["digits"])
    with pytest.raises(UserError, match="cannot read"):
        ModelStream.load(tmp_path / "missing")
    with pytest.raises(UserError, match="cannot write"):
        stream.save(path / "below_a_file")
    other, _ = example(replace(TINY, name="other", max_tokens=9))
    other.save(path)
    with pytest.raises(StreamError, match="none of tiny, digits"):
        ModelStream.load(path)


def test_every_flipped_bit_is_found():
    stream, _ = example(TINY)
    ends = [end for _, end in blocks(stream)]
    rng = np.random.default_rng(3)
    for position in [*range(20), *rng.integers(20, len(stream.data), 200).tolist()]:
        data = bytearray(stream.data)
        data[position] ^= 1 << int(rng.integers(8))
        with pytest.raises(StreamError) as caught:
            ModelStream(bytes(data), TINY).commands()
        if position >= 16:  # behind the header's fields: found by the first block that ends after it
            number = sum(end <= position for end in ends)
            if "at or before block" in str(caught.value):
                assert f"block {number}," in str(caught.value)
            else:  # the length of an operand changed, or the end was not reached
                assert position < ends[number]


def test_every_length_is_checked():
    stream, _ = example(TINY)
    for length in [0, 1, 15, 16, *range(20, len(stream.data), 97), len(stream.data) - 4]:
        with pytest.raises(StreamError, match="truncated"):
            ModelStream(stream.data[:length], TINY).commands()
    with pytest.raises(StreamError, match="too long"):
        ModelStream(stream.data + bytes(4), TINY).commands()


def patched(stream, offset: int, value: int) -> ModelStream:
    """The stream with another 16-bit field at a byte offset, and right check words."""
    data = bytearray(stream.data)
    data[offset:offset + 2] = value.to_bytes(2, "little")
    return ModelStream(reseal(bytes(data), stream), stream.spec)


@pytest.mark.parametrize("field,value,message", [
    ("magic_low", 0, "not a model stream"),
    ("version", VERSION | 32 << 8, r"may take 2\*\*32 cycles, more than the 2\*\*31 of any"),
    ("version", VERSION + 1, f"version {VERSION + 1}, this software reads version {VERSION}"),
    ("spec_low", 1, "is for the spec"),
    ("commands", 7, "says 7 commands"),
])
def test_header_is_checked(field, value, message):
    stream, _ = example(TINY)
    with pytest.raises(StreamError, match=message):
        patched(stream, 2 * HEADER_FIELDS.index(field), value).commands()


@pytest.mark.parametrize("command,field,value,message", [
    (0, "opcode", 9, "command 1 has the unknown opcode 9"),
    (2, "opcode", Opcode.MATMUL | 5 << 8, "opcode 4 or target 5"),
    (1, "index", 3, "command 2 has the index 3"),
    (1, "a_wait", 2, "a_wait of command 2 is 2"),
    (2, "w_wait", 3, "w_wait of command 3 is 3"),
    (2, "set_words", 11, "inconsistent sizes k_words 3, tile_words 6, set_words 11"),
    (2, "k_words", 5, "inconsistent sizes"),
    (0, "columns", 0, "columns of command 1 must be at least 1, not 0"),
    (2, "sets", 0, "sets of command 3 must be at least 1, not 0"),
    (0, "groups", 5, "groups of command 1 must be at most 4, not 5"),
    (1, "columns", 33, "columns of command 2 must be at most 32, not 33"),
    (2, "sets", 1025, "sets of command 3 must be at most 1024, not 1025"),
    (1, "row_tiles", 2, "command 2 has 5 columns in 2 tiles of 2"),
    (2, "row_tiles", 3, "command 3 has 4 columns in 3 tiles of 2"),
    (2, "low", 1, "clamp low 1 above high 0"),
    (1, "flags", 2 << 8, "command 2 writes 3 planes of codes that have at most 2"),
    (2, "passes01", 0x0005, "passes without an end"),
    (2, "passes01", 0x8009, "3 planes of weights"),
    (2, "opcode", Opcode.MATMUL | Target.RESIDUAL << 8, "code table for RESIDUAL"),
    (2, "flags", Flag.TABLE, "uses a code table before one is loaded"),
    (2, "flags", Flag.KEY_BIAS, "key biases, but weights from the stream"),
])
def test_commands_are_checked(command, field, value, message):
    stream, _ = example(TINY)
    start, _ = blocks(stream)[1 + command]
    with pytest.raises(StreamError, match=message):
        patched(stream, start + 2 * COMMAND_FIELDS.index(field), value).commands()


def test_writer_rejects():
    writer = StreamWriter(TINY)
    with pytest.raises(KeyError, match="no field 'colour'"):
        writer.command({"colour": 1})
    with pytest.raises(ValueError, match="field groups of command 1 must be between 0 and 65535, not 65536"):
        writer.command({"groups": 1 << 16})
    with pytest.raises(ValueError, match="field low of command 1 must be between -32768 and 32767"):
        writer.command({"low": 32768})
    with pytest.raises(ValueError, match="must fill words of 32 bits, not 3 bytes"):
        writer.command({}, bytes(3))
    with pytest.raises(ValueError, match="limit must be between 0 and 31, not 32"):
        writer.finish(limit=32)
