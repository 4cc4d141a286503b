import pytest
from vitric.boards.crc import crc32c
from vitric.boards.flash_image import flash_image


def test_image_by_hand():
    image = flash_image(b"12345678", model_bits=32, spec_hash=0x01020304, written=0x0A0B0C0D)
    head = b"VIT\x01" + bytes([4, 3, 2, 1]) + bytes([13, 12, 11, 10]) + bytes([2, 0, 0, 0])
    head += crc32c(b"12345678").to_bytes(4, "little")
    head += crc32c(head).to_bytes(4, "little")
    assert image == head + b"\xff" * (256 - 24) + b"12345678"


def test_what_cannot_be_written():
    with pytest.raises(ValueError, match="length of the model in bytes must be between 1 and 16777216, not 0"):
        flash_image(b"", model_bits=32, spec_hash=0, written=0)
    with pytest.raises(ValueError, match="written must be between 0 and 4294967295, not -1"):
        flash_image(bytes(4), model_bits=32, spec_hash=0, written=-1)
