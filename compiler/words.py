"""Integers in model words, in numpy: how the numbers of a model stream lie in its bytes.

A *row* of numbers is packed lane 0 first from the least significant bit on, as
:func:`vitric.golden.packing.pack` packs one word, and takes a whole number of model words; model words are
little-endian. These functions do the same for many rows at once.
"""

import numpy as np

__all__ = ["pack_rows", "row_bytes", "unpack_rows"]


def row_bytes(lanes: int, bits: int, model_bits: int) -> int:
    """Return the bytes of one row: ``lanes * bits`` bits rounded up to whole model words."""
    return -(-lanes * bits // model_bits) * model_bits // 8


def pack_rows(values: np.ndarray, bits: int, model_bits: int, *, signed: bool) -> np.ndarray:
    """Pack rows of integers.

    Parameters
    ----------
    values : integer array, shape (..., lanes)
    bits : int
        Width of a lane, 1..32.
    model_bits : int
        Width of a model word.
    signed : bool
        Whether lanes are two's complement.

    Returns
    -------
    uint8 array, shape (..., row_bytes(lanes, bits, model_bits))

    Raises
    ------
    OverflowError
        A value does not fit its lane.
    """
    values = np.asarray(values, dtype=np.int64)
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    if values.size and not (low <= values.min() and values.max() <= high):
        raise OverflowError(f"values {values.min()}..{values.max()} do not fit the {low}..{high} of {bits} bits")
    lanes = values.shape[-1]
    digits = (values[..., None] >> np.arange(bits) & 1).astype(np.uint8).reshape(*values.shape[:-1], lanes * bits)
    packed = np.packbits(digits, axis=-1, bitorder="little")
    padding = row_bytes(lanes, bits, model_bits) - packed.shape[-1]
    return np.pad(packed, [(0, 0)] * (packed.ndim - 1) + [(0, padding)])


def unpack_rows(data: np.ndarray, lanes: int, bits: int, *, signed: bool) -> np.ndarray:
    """Take rows apart: uint8 (..., bytes of a row) to int64 (..., lanes); the inverse of :func:`pack_rows`."""
    data = np.asarray(data, dtype=np.uint8)
    digits = np.unpackbits(data, axis=-1, bitorder="little", count=lanes * bits)
    digits = digits.reshape(*data.shape[:-1], lanes, bits).astype(np.int64)
    values = (digits << np.arange(bits)).sum(axis=-1)
    return values - (digits[..., -1] << bits) if signed else values
