"""Operands of the stream: padded and split weights, channel words, tables."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from vitric.golden.arith import split_signed
from vitric.golden.integer import IntegerLayerNorm, IntegerLinear, Requantizer
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import CHANNEL_BITS, FIELD_BITS, TABLE_ENTRY_BITS, Flag, Opcode

from .layout import Activation
from .words import pack_rows

__all__ = [
    "affine_words", "bits_of_range", "block_words", "channel_words", "digit_planes", "interleave", "operand_words",
    "plane_count", "residual_words", "table_words", "weight_words",
]


def block_words(names: Sequence[str], spec: AcceleratorSpec) -> int:
    """Return the model words of a block with these fields, its check word among them."""
    return -(-len(names) * FIELD_BITS // spec.model_bits) + 1


def operand_words(fields: Mapping[str, int], spec: AcceleratorSpec) -> int:
    """Return the model words of the operands that a command with these fields has."""
    def words(count: int, bits: int) -> int:
        return -(-count * bits // spec.model_bits)

    opcode, flags = fields["opcode"] & 0xFF, fields["flags"]
    if opcode == Opcode.LOAD:
        return fields["groups"] * fields["columns"] * words(1, spec.residual_word_bits)
    if opcode == Opcode.NORM:
        return words(fields["columns"], CHANNEL_BITS)
    if opcode != Opcode.MATMUL:
        return 0
    channels = 0 if flags & Flag.KEY_BIAS else words(fields["set_tiles"] * spec.cols, CHANNEL_BITS)
    weights = 0 if flags & Flag.WEIGHTS_ACT else words(fields["set_words"], spec.weight_word_bits)
    table = words(spec.gelu.entries, TABLE_ENTRY_BITS) if flags & Flag.NEW_TABLE else 0
    return table + fields["sets"] * (channels + weights)


def plane_count(layer: IntegerLinear, spec: AcceleratorSpec) -> int:
    """Return how many planes of digits the weights of a layer have."""
    return 1 if layer.w_bits <= spec.w_bits else 2


def digit_planes(layer: IntegerLinear, spec: AcceleratorSpec) -> np.ndarray:
    """Return the digits of a layer's weights, least significant plane first: int64 (planes, N, K)."""
    digits = split_signed(layer.weight, spec.w_bits, plane_count(layer, spec))
    return np.stack([digit.numpy() for digit in digits])


def bits_of_range(low: int, high: int) -> int:
    """Return the width of a signed number that holds ``low .. high``."""
    return max((-low - 1).bit_length() if low < 0 else 0, high.bit_length()) + 1


def weight_words(digits: np.ndarray, a: Activation, out_map: np.ndarray, tiles: int,
                 spec: AcceleratorSpec) -> np.ndarray:
    """Return the array words of a layer, uint8 (tiles, bytes of a tile).

    Input and output channels go to their places (``a.channel_map``, ``out_map``); everything else is zero.
    """
    planes = len(digits)
    padded = np.zeros((planes, tiles * spec.cols, a.words * spec.depth), dtype=np.int64)
    padded[:, out_map[:, None], a.channel_map[None, :]] = digits
    padded = padded.reshape(planes, tiles, spec.cols, a.words, spec.depth)
    words = padded.transpose(1, 0, 3, 2, 4).reshape(tiles, planes * a.words, spec.cols * spec.depth)
    return pack_rows(words, spec.w_bits, spec.model_bits, signed=True).reshape(tiles, -1)


def channel_words(requantizer: Requantizer, out_map: np.ndarray, tiles: int, spec: AcceleratorSpec) -> np.ndarray:
    """Return the channel words of a product, uint8 (tiles, bytes of a tile).

    Channels that are padding get bias 0 and multiplier 0, so their code is the clamped zero point.
    """
    words = np.zeros(tiles * spec.cols, dtype=[("bias", "<i4"), ("multiplier", "<u2"), ("shift", "u1"), ("zero", "u1")])
    words["bias"][out_map] = requantizer.bias.numpy()
    words["multiplier"][out_map] = requantizer.multiplier.numpy()
    pairs = zip(requantizer.pre_shift.tolist(), requantizer.shift.tolist(), strict=True)
    words["shift"][out_map] = [spec.requantize.scalings.index(pair) for pair in pairs]
    return words.view(np.uint8).reshape(tiles, -1)


def affine_words(norm: IntegerLayerNorm, spec: AcceleratorSpec) -> np.ndarray:
    """Return the channel words of a NORM, uint8, zeros up to a whole model word."""
    words = np.zeros(len(norm.gamma), dtype=[("beta", "<i4"), ("gamma", "<i2"), ("zero", "<u2")])
    words["beta"], words["gamma"] = norm.beta.numpy(), norm.gamma.numpy()
    return pack_rows(words.view(np.uint8), 8, spec.model_bits, signed=False)


def table_words(table: torch.Tensor, spec: AcceleratorSpec) -> bytes:
    """Return the words of a code table, zeros behind its last entry."""
    entries = np.zeros(spec.gelu.entries, dtype=np.int64)
    entries[:len(table)] = table.numpy()
    return pack_rows(entries, TABLE_ENTRY_BITS, spec.model_bits, signed=False).tobytes()


def residual_words(values: torch.Tensor, columns: int, spec: AcceleratorSpec) -> bytes:
    """Return the operand of LOAD for residual values (T, E): row groups of ``columns`` columns, zero padded."""
    tokens, embed = values.shape
    groups = -(-tokens // spec.rows)
    padded = np.zeros((groups * spec.rows, columns), dtype=np.int64)
    padded[:tokens, :embed] = values.numpy()
    words = padded.reshape(groups, spec.rows, columns).transpose(0, 2, 1)
    return pack_rows(words, spec.residual_bits, spec.model_bits, signed=True).tobytes()


def interleave(sets: int, *parts: np.ndarray) -> bytes:
    """Return set after set, each with its part of every operand: arrays of shape (tiles, bytes)."""
    return np.concatenate([part.reshape(sets, -1) for part in parts], axis=1).tobytes()
