"""The CRC that stands for a whole model."""

__all__ = ["crc32c"]


def _crc32c_entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


_CRC32C_TABLE = tuple(map(_crc32c_entry, range(256)))


def crc32c(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli's polynomial 0x1EDC6F41, reflected; as in iSCSI) of ``data``.

    It stands for a whole model. Frames, and the model stream itself, use the other common CRC-32; because a model
    stream ends with that CRC of everything before it, that CRC of every good stream is the same number, and could
    tell neither two models from each other nor a new one from an old one in its place.
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC32C_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
