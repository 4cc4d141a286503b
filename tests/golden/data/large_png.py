"""A PNG of many pixels in few bytes."""

import zlib
from pathlib import Path


def write_large_png(path: Path, side: int) -> None:
    """Write a black picture of side x side pixels, 1 bit each."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    size = side.to_bytes(4, "big")
    rows = zlib.compress(bytes((side + 7) // 8 + 1) * side, 9)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size + size + bytes([1, 0, 0, 0, 0]))
                     + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
