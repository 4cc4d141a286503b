import random
import zlib

import pytest
from vitric.boards.link import (
    ERROR_LAYOUT,
    INFO_LAYOUT,
    LENGTH_MAX,
    SYNC,
    Frame,
    FrameReader,
    Kind,
    encode,
    is_protocol_1,
    layout_bytes,
    pack_layout,
    unpack_layout,
)


def test_encode_by_hand():
    body = bytes([5, 201, 3, 0]) + b"abc"
    assert encode(Kind.INFER, b"abc", 201) == b"\x56\xa9" + body + zlib.crc32(body).to_bytes(4, "little")
    # The check value of this CRC (CRC-32/ISO-HDLC, "123456789") ties zlib's to the catalogue.
    assert zlib.crc32(b"123456789") == 0xCBF43926


def test_payload_too_long():
    assert len(encode(1, bytes(LENGTH_MAX))) == LENGTH_MAX + 10
    with pytest.raises(ValueError, match="at most 65535 bytes, not 65536"):
        encode(1, bytes(LENGTH_MAX + 1))


def test_layouts():
    values = {name: 7 * k + 1 for k, (name, _) in enumerate(INFO_LAYOUT)}
    packed = pack_layout(INFO_LAYOUT, values)
    assert len(packed) == layout_bytes(INFO_LAYOUT) == 39
    assert unpack_layout(INFO_LAYOUT, packed + b"more") == values
    assert packed[2:4] == bytes([values["model_bits"], 0])
    with pytest.raises(ValueError, match="must have 5 bytes, not 4"):
        unpack_layout(ERROR_LAYOUT, bytes(4))
    with pytest.raises(OverflowError):
        pack_layout(ERROR_LAYOUT, {"reason": 256, "request": 0, "code": 0, "command": 0})


def pieces(data, rng):
    while data:
        count = rng.randint(1, 7)
        yield data[:count]
        data = data[count:]


@pytest.mark.parametrize("seed", range(20))
def test_reader_finds_frames_in_garbage(seed):
    rng = random.Random(seed)
    frames = [Frame(rng.randrange(256), rng.randbytes(rng.randint(0, 30)), rng.randrange(256)) for _ in range(6)]
    line = bytearray()
    for frame in frames:
        garbage = bytes(rng.choice((*SYNC, 0, 1, 255)) for _ in range(rng.randint(0, 20)))
        line += garbage + encode(frame.kind, frame.payload, frame.sequence)
    line += bytes(64)  # a false start before the last frame may wait for more
    reader = FrameReader(max_payload=40)
    found = [frame for piece in pieces(bytes(line), rng) for frame in reader.feed(piece)]
    assert found == frames


def test_reader_ignores_a_broken_frame_and_finds_one_inside():
    good = encode(Kind.INFO_ANSWER, b"inside")
    broken = bytearray(encode(1, good))
    broken[-1] ^= 1
    assert list(FrameReader().feed(bytes(broken) + encode(2))) == [Frame(Kind.INFO_ANSWER, b"inside"), Frame(2)]


def test_reader_ignores_a_frame_beyond_its_longest():
    assert list(FrameReader(max_payload=4).feed(encode(1, bytes(5)) + encode(2, bytes(4)))) == [Frame(2, bytes(4))]


def test_every_bit_of_the_crc_counts():
    good = encode(Kind.INFO_ANSWER, b"payload", 9)
    for bit in range(32):
        bad = int.from_bytes(good[-4:], "little") ^ 1 << bit
        assert list(FrameReader().feed(good[:-4] + bad.to_bytes(4, "little"))) == []


def test_an_error_frame_of_protocol_1():
    body = bytes.fromhex("ff 0500 01 01 00 0000")
    old = b"\x56\xa9" + body + zlib.crc32(body).to_bytes(4, "little")
    assert is_protocol_1(old) and is_protocol_1(b"\x56\xa9\xff" + old[:7] + old + b"more")
    for position in range(len(old)):
        assert not is_protocol_1(old[:position] + bytes([old[position] ^ 8]) + old[position + 1:])
        assert not is_protocol_1(old[:position])
    for kind in Kind:
        assert not is_protocol_1(encode(kind, bytes(5)) + encode(kind, b"", 5))
