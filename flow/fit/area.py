"""What an accelerator takes of an FPGA, told from its spec: fitted to measured syntheses.

The array is counted by the plans of its adders, the same that choose its mapping
(:mod:`vitric.hdl.mac.choice`), multipliers and block RAMs by what the design declares. What is left, look-up tables and
flip-flops of everything around, is a sum over the quantities of :func:`quantities`, each times a number that least
squares find (relative errors, no number below zero). ``python -m bench.area`` measures, and says how far off the model
is on designs that it was not fitted to.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from math import ceil
from pathlib import Path

import numpy as np
from vitric.boards.system import MAX_PAYLOAD
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import CHANNEL_BITS
from vitric.hdl.mac.choice import array_cost
from vitric.toolchain.families import ECP5

__all__ = ["MEASURED", "SDRAM", "STORE_WORDS", "Area", "AreaModel", "Measured", "area_model", "block_rams", "errors",
           "read_measured"]

MEASURED = Path(__file__).with_name("area.json")
"""What ``python -m bench.area`` measured."""

STORE_WORDS = 1024
"""Capacity of the model store in the measured designs, in model words; two banks of it are held."""

_LOGIC = ("lut_eq", "ff")
_LUT_MEMORY, _BLOCK = 4, 131  # what a memory of 16 x 4 bits and a block RAM cost in Yosys's eyes


@dataclass(frozen=True, kw_only=True)
class Area:
    """What a design takes; carry cells and memories of look-up tables count as the look-up tables they replace."""

    lut_eq: int
    ff: int
    dsp: int
    bram: int


SDRAM = Area(lut_eq=4170, ff=2462, dsp=0, bram=0)
"""Controller, memory test, queues, runs over images, and the flash, for lines of 64 bits:
``python -m bench.area --sdram``."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One synthesis of an accelerator with its link and store, as :class:`vitric.boards.system.System` holds it.

    Attributes
    ----------
    spec : AcceleratorSpec
    area, array : Area
        Of all, and of the array in it.
    held_out : bool
        The model is not fitted to it but checked on it.
    """

    spec: AcceleratorSpec
    area: Area
    array: Area
    held_out: bool


def read_measured(path: Path = MEASURED) -> list[Measured]:
    """Read what was measured; :exc:`OSError` if the file is not there."""
    def area(values: Mapping[str, float]) -> Area:
        return Area(**{field.name: ceil(values[field.name]) for field in fields(Area)})

    rows = json.loads(path.read_text(encoding="utf-8"))["designs"]
    return [Measured(spec=AcceleratorSpec(**row["spec"]), area=area(row["area"]), array=area(row["array"]),
                     held_out=row["held_out"]) for row in rows]


def quantities(spec: AcceleratorSpec) -> dict[str, float]:
    """Return what logic around the array grows with."""
    lanes = spec.rows * spec.drain_cols
    return {
        "design": 1, "rows": spec.rows, "lanes": lanes, "columns drained": spec.drain_cols,
        "model bits": spec.model_bits, "tile bits": spec.tile_bits, "weight word bits": spec.weight_word_bits,
        "accumulator bits": spec.rows * spec.cols * spec.acc_bits,
    }


_array_cost = cache(array_cost)


def array_quantities(spec: AcceleratorSpec, fabric: str) -> dict[str, float]:
    """Return what the logic of the array grows with; what enters and leaves a multiplier is registered beside it."""
    cells, multipliers = _array_cost(spec.mac, fabric)
    return {
        "design": 1, "cells": cells, "multipliers": multipliers,
        "accumulator bits": spec.rows * spec.cols * spec.acc_bits,
        "operand bits": spec.depth * (spec.rows * spec.a_bits + spec.cols * spec.w_bits),
    }


def blocks(width: int, depth: int) -> int:
    """Return the block RAMs of ECP5 for a memory with one port to read and one to write.

    A block RAM has 16384 words of 1 bit, or as many times fewer of 2, 4, 9, 18 or 36. What is left of the depth behind
    whole blocks may have words of another width.
    """
    found = []
    for number, bits in enumerate((1, 2, 4, 9, 18, 36)):
        whole, left = divmod(depth, ECP5.block_bits >> number)
        beside = ceil(width / bits)
        found.append(whole * beside + (blocks(width, left) if whole and left else beside * (left > 0)))
    return min(found)


def cheapest(width: int, depth: int) -> int:
    """Return the block RAMs of a memory that Yosys may make of look-up tables: 0 if it finds these cheaper."""
    rows, count = ceil(depth / 16), blocks(width, depth)
    return count if ceil(width / 4) * rows * _LUT_MEMORY + width * (rows - 1) > count * _BLOCK else 0


def _fitted(designs: Sequence[Mapping[str, float]], values: Sequence[float],
            totals: Sequence[float]) -> dict[str, float]:
    """Return a number for each quantity, so that the errors are least as shares of the totals."""
    from sklearn.linear_model import LinearRegression

    table = np.array([list(design.values()) for design in designs], dtype=float)
    found = LinearRegression(fit_intercept=False, positive=True).fit(
        table, values, sample_weight=1 / np.square(np.asarray(totals, dtype=float)))
    return dict(zip(designs[0], map(float, found.coef_), strict=True))


class AreaModel:
    """Tells areas from specs.

    Parameters
    ----------
    measured : sequence of Measured
        What it is fitted to.
    fabric : str
        Of the part: the word for what arrays are built of.
    """

    def __init__(self, measured: Sequence[Measured], fabric: str = "ecp5"):
        self.fabric = fabric
        rest = [quantities(item.spec) for item in measured]
        arrays = [array_quantities(item.spec, fabric) for item in measured]
        self._rest, self._array = {}, {}
        for name in _LOGIC:
            totals = [getattr(item.area, name) for item in measured]
            inside = [getattr(item.array, name) for item in measured]
            self._array[name] = _fitted(arrays, inside, totals)
            self._rest[name] = _fitted(rest, [a - b for a, b in zip(totals, inside, strict=True)], totals)

    def area(self, spec: AcceleratorSpec, store_words: int = STORE_WORDS, image_bytes: int = 0) -> Area:
        """Return what a board's design with this accelerator takes, its model in two banks of ``store_words``.

        ``image_bytes`` is the size of an image, if it is larger than the requests that the link holds anyway.
        """
        logic = {}
        for name in _LOGIC:
            parts = ((self._rest[name], quantities(spec)), (self._array[name], array_quantities(spec, self.fabric)))
            logic[name] = ceil(sum(number[key] * amount for number, own in parts for key, amount in own.items()))
        return Area(**logic, dsp=self.multipliers(spec) + _array_cost(spec.mac, self.fabric)[1],
                    bram=block_rams(spec, store_words, image_bytes))

    @staticmethod
    def multipliers(spec: AcceleratorSpec) -> int:
        """Return the multipliers of all but the array: one for each lane of requantize, the rest for LayerNorm."""
        return spec.rows * spec.drain_cols + 3 * spec.rows + 2


def block_rams(spec: AcceleratorSpec, store_words: int, image_bytes: int = 0) -> int:
    """Return the block RAMs of a board's design: its memories, each with the widest words that serve it."""
    softmax, norm, lanes, group = spec.softmax, spec.layernorm, spec.rows * spec.drain_cols, spec.channel_group
    affine = max(1, spec.model_bits // CHANNEL_BITS)
    memories = {
        "activations": spec.word_tiles * cheapest(spec.tile_bits, spec.act_words),
        "residual": cheapest(spec.residual_word_bits * spec.drain_cols, spec.residual_words // spec.drain_cols),
        "weights": cheapest(spec.weight_word_bits, spec.weight_words),
        "channels": cheapest(group * CHANNEL_BITS, spec.channel_words // group),
        "code table": lanes,
        "softmax": blocks(lanes * softmax.score_bits + 1, softmax.buffer_depth) + 2 * ceil(lanes / 2),
        "norm": cheapest(spec.rows * norm.in_bits, norm.buffer_depth),
        "moments, inverse root": blocks(norm.sum_bits + norm.square_sum_bits, spec.rows) + 1,
        "affine": blocks(affine * CHANNEL_BITS, ceil(spec.max_embed / affine)),
        "logits": cheapest(spec.residual_bits * spec.drain_cols + 1, ceil(spec.max_classes / spec.drain_cols) - 1),
        "link": blocks(8, max(MAX_PAYLOAD, image_bytes)) + cheapest(spec.residual_bits, spec.max_classes - 1),
        "store": blocks(spec.model_bits, 2 * store_words) if store_words else 0,
    }
    return sum(memories.values())


def errors(measured: Sequence[Measured]) -> dict[str, dict[str, float]]:
    """Return the relative errors of the model on each design that is held out, by its name and that of the figure."""
    model, found = AreaModel([item for item in measured if not item.held_out]), {}
    for item in measured:
        if item.held_out:
            told = model.area(item.spec)
            found[item.spec.name] = {field.name: getattr(told, field.name) / getattr(item.area, field.name) - 1
                                     for field in fields(Area)}
    return found


@cache
def area_model() -> AreaModel:
    """Return the model of the measured designs of ECP5 that are not held out."""
    return AreaModel([item for item in read_measured() if not item.held_out])
