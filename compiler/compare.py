"""The debug tap of the accelerator against the golden trace: every value that reaches memory, exactly once."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from vitric.golden.arith import split_signed, split_unsigned
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.tensors import block_of

from .words import unpack_rows

__all__ = ["Comparison", "Mismatch", "TensorWrite", "act_records", "compare", "logit_records", "residual_records"]


def act_records(spec: AcceleratorSpec) -> np.dtype:
    """Return the record of one tile written to activation memory.

    ``command`` (index), ``address`` (tile address: ``word * word_tiles + tile``) and ``data``, the tile's bits,
    element ``[row][col]`` from bit ``(row * cols + col) * element_bits`` on, as little-endian bytes.
    """
    return np.dtype([("command", "<u2"), ("address", "<u4"), ("data", "u1", (-(-spec.tile_bits // 8),))])


def residual_records(spec: AcceleratorSpec, columns: int = 1) -> np.dtype:
    """Return the record of columns written side by side to residual memory.

    As :func:`act_records`; the data are rows * 16 bits for each column.
    """
    size = columns * spec.residual_word_bits // 8
    return np.dtype([("command", "<u2"), ("address", "<u4"), ("data", "u1", (size,))])


def logit_records() -> np.dtype:
    """Return the record of one logit: ``value``."""
    return np.dtype([("value", "<i4")])


@dataclass(frozen=True, kw_only=True)
class TensorWrite:
    """What one command writes, as far as a reader of the tap has to know.

    Attributes
    ----------
    index : int
        Of the command.
    trace : str
        Name in the golden trace.
    kind : str
        ``"act"``, ``"residual"`` or ``"logits"``.
    head : int or None
        Which head of the traced tensor, for the products of attention.
    base : int
        Activation word or residual address of row group 0.
    stride : int
        Words between row groups (transposed: between channel tiles; residual: columns).
    plane_stride, planes : int
        Words between planes of the code, and their number.
    tiles, groups : int
        Channel tiles per row group, and row groups.
    out_map : int64 array (N,)
        Position of each channel among ``tiles * cols``.
    transposed : bool
        Tiles hold channels as rows.
    signed : bool
        Codes are signed and have signed digits.
    zero_pad : bool
        The positions that no channel has must hold zero.
    row_map : int64 array (rows,) or None
        Row among ``groups * rows`` that each row of the golden tensor is written to; without it, the same one.
    """

    trace: str
    kind: str
    index: int = 0
    head: int | None = None
    base: int = 0
    stride: int = 0
    plane_stride: int = 0
    planes: int = 1
    tiles: int = 0
    groups: int = 0
    out_map: np.ndarray = field(repr=False, compare=False)
    transposed: bool = False
    signed: bool = False
    zero_pad: bool = False
    row_map: np.ndarray | None = field(default=None, repr=False, compare=False)

    def values(self, trace: Mapping[str, torch.Tensor], image: int) -> np.ndarray:
        """Return this command's part of the golden tensor, int64 (rows, N)."""
        value = trace[self.trace][image].numpy()
        if self.head is None:
            return value
        if value.ndim == 3:
            return value[self.head]  # probabilities (H, T, T)
        width = len(self.out_map)
        return value[:, self.head * width:(self.head + 1) * width]


@dataclass(frozen=True)
class Mismatch:
    """One value that differs from the golden trace.

    ``index`` is (head, row, column) for tensors with heads, else (row, channel); ``plane`` the code plane. ``got``
    is ``None`` for a value that was never written, and a string for an access that should not have been.
    """

    image: int
    block: int | None
    tensor: str
    index: tuple[int, ...]
    plane: int
    expected: int | None
    got: int | str | None


@dataclass(frozen=True)
class Comparison:
    """Result of :func:`compare`: the first mismatches, how many there are, and how many values were compared."""

    mismatches: list[Mismatch]
    failures: int
    compared: int

    @property
    def ok(self) -> bool:
        """Whether every value was there and right."""
        return self.failures == 0 and self.compared > 0


class _Collector:
    def __init__(self, image: int, limit: int):
        self.image, self.limit = image, limit
        self.mismatches: list[Mismatch] = []
        self.failures = self.compared = 0

    def add(self, write: TensorWrite, index: tuple[int, ...], plane: int, expected, got) -> None:
        self.failures += 1
        if len(self.mismatches) < self.limit:
            block = block_of(write.trace)
            index = index if write.head is None or len(index) < 2 else (write.head, *index)
            self.mismatches.append(Mismatch(self.image, block, write.trace, index, plane, expected, got))

    def arrays(self, write: TensorWrite, plane: int, expected: np.ndarray, got: np.ndarray, valid: np.ndarray,
               written: np.ndarray, position_channel: np.ndarray) -> None:
        """Compare (rows, positions) arrays where ``valid``; ``written`` says which positions were."""
        self.compared += int(valid.sum())
        wrong = np.argwhere(valid & (~written | (expected != got)))
        for row, position in wrong[:self.limit].tolist():
            value = int(got[row, position]) if written[row, position] else None
            self.add(write, (row, int(position_channel[position])), plane, int(expected[row, position]), value)
        self.failures += max(0, len(wrong) - self.limit)


def _columns(write: TensorWrite, values: np.ndarray, rows: int, positions: int) -> tuple[np.ndarray, np.ndarray]:
    """Return values and validity at (groups * rows, positions)."""
    expected = np.zeros((write.groups * rows, positions), dtype=np.int64)
    valid = np.zeros_like(expected, dtype=bool)
    row_map = np.arange(min(len(values), len(expected))) if write.row_map is None else write.row_map
    expected[row_map[:, None], write.out_map] = values[:len(row_map)]
    valid[row_map[:, None], write.out_map] = True
    if write.zero_pad:
        valid[row_map] = True
    return expected, valid


def _gather(collector: _Collector, write: TensorWrite, addresses: np.ndarray, records: np.ndarray,
            ) -> tuple[np.ndarray, np.ndarray]:
    """Return the data at ``addresses`` and whether each was written, reporting strays and repeated writes."""
    order = np.argsort(records["address"], kind="stable")
    found = records["address"][order]
    for address in found[~np.isin(found, addresses)].tolist():
        collector.add(write, (address,), 0, None, "write to an address that is not the tensor's")
    for address in np.unique(found[1:][found[1:] == found[:-1]]).tolist():
        collector.add(write, (address,), 0, None, "written more than once")
    place = np.searchsorted(found, addresses)
    written = np.isin(addresses, found)
    data = np.zeros((*addresses.shape, records["data"].shape[-1]), dtype=np.uint8)
    data[written] = records["data"][order][place[written]]
    return data, written


def _compare_act(collector: _Collector, write: TensorWrite, values: np.ndarray, records: np.ndarray,
                 spec: AcceleratorSpec) -> None:
    rows, cols, per_word = spec.rows, spec.cols, spec.word_tiles
    expected, valid = _columns(write, values, rows, write.tiles * cols)
    group, tile = np.meshgrid(np.arange(write.groups), np.arange(write.tiles), indexing="ij")
    line, step = (tile, group) if write.transposed else (group, tile)
    word = write.base + line * write.stride + step // per_word
    plane_bits = spec.w_bits if write.signed else spec.a_bits
    split = split_signed if write.signed else split_unsigned
    digits = split(torch.from_numpy(expected), plane_bits, write.planes)
    addresses = np.stack([(word + plane * write.plane_stride) * per_word + step % per_word
                          for plane in range(write.planes)])
    data, written = _gather(collector, write, addresses, records)
    elements = unpack_rows(data, rows * cols, spec.element_bits, signed=False)
    elements = elements.reshape(*addresses.shape, rows, cols)  # (plane, group, tile, row, col)
    if write.transposed:
        elements = elements.swapaxes(-1, -2)
    channel = np.full(write.tiles * cols, -1)
    channel[write.out_map] = np.arange(len(write.out_map))
    mask = (1 << plane_bits) - 1
    for plane, digit in enumerate(digits):
        got = elements[plane].transpose(0, 2, 1, 3).reshape(expected.shape) & mask
        there = np.repeat(np.repeat(written[plane], rows, axis=0), cols, axis=1)
        collector.arrays(write, plane, digit.numpy() & mask, got, valid, there, channel)


def _compare_residual(collector: _Collector, write: TensorWrite, values: np.ndarray, records: np.ndarray,
                      spec: AcceleratorSpec) -> None:
    positions = write.tiles * spec.cols
    expected, valid = _columns(write, values, spec.rows, positions)
    addresses = write.base + np.arange(write.groups)[:, None] * write.stride + np.arange(positions)
    data, written = _gather(collector, write, addresses, records)
    got = unpack_rows(data, spec.rows, spec.residual_bits, signed=True)  # (group, position, row)
    got = got.transpose(0, 2, 1).reshape(expected.shape)
    channel = np.full(positions, -1)
    channel[write.out_map] = np.arange(len(write.out_map))
    collector.arrays(write, 0, expected, got, valid, np.repeat(written, spec.rows, axis=0), channel)


def compare(writes: list[TensorWrite], spec: AcceleratorSpec, trace: Mapping[str, torch.Tensor], image: int, *,
            act: np.ndarray, residual: np.ndarray, logits: np.ndarray, limit: int = 20) -> Comparison:
    """Compare the tap records of one image with its golden trace.

    Values of valid tokens and channels are compared, and padding where it must be zero; every tile and column of
    a tensor must have been written exactly once by its command, and nothing else.

    Parameters
    ----------
    writes : list of TensorWrite
        Of every command that writes.
    spec : AcceleratorSpec
    trace : mapping of str to int64 tensors
        Filled by :class:`~vitric.golden.integer.vit.IntegerViT`.
    image : int
        Which image of the trace the records belong to.
    act, residual, logits : structured arrays
        Records as :func:`act_records`, :func:`residual_records` and :func:`logit_records` describe.
    limit : int
        Mismatches to list; all are counted.
    """
    collector = _Collector(image, limit)
    for write in writes:
        values = write.values(trace, image)
        if write.kind == "act":
            _compare_act(collector, write, values, act[act["command"] == write.index], spec)
        elif write.kind == "residual":
            _compare_residual(collector, write, values, residual[residual["command"] == write.index], spec)
        else:
            got = np.zeros((1, max(values.shape[1], len(logits))), dtype=np.int64)
            got[0, :len(logits)] = logits["value"]
            expected = np.zeros_like(got)
            expected[:, :values.shape[1]] = values[:1]
            there = np.arange(got.shape[1])[None] < len(logits)
            collector.arrays(write, 0, expected, got, np.ones_like(there), there, np.arange(got.shape[1]))
            for position in range(values.shape[1], len(logits)):
                collector.add(write, (position,), 0, None, "more logits than classes")
    for kind, records in (("act", act), ("residual", residual)):
        known = [write.index for write in writes if write.kind == kind]
        for command in np.unique(records["command"][~np.isin(records["command"], known)]).tolist():
            collector.add(TensorWrite(trace=f"command {command}", kind=kind, out_map=np.arange(0)), (command,), 0, None,
                          f"{kind} write of a command that has none")
    return Comparison(collector.mismatches, collector.failures, collector.compared)
