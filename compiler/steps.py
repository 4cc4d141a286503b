"""Layers of the integer ViT as commands on tensors whose addresses are still open."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from vitric.golden.arith import signed_code_range
from vitric.golden.integer import IntegerLayerNorm, IntegerLinear, Requantizer
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import Flag, Opcode, Target

from .compare import TensorWrite
from .demands import Demands
from .layout import Activation, Address, Buffer, CompileError, Misfit, ceil_div, plane_passes
from .operands import (
    affine_words,
    bits_of_range,
    channel_words,
    digit_planes,
    interleave,
    plane_count,
    table_words,
    weight_words,
)

__all__ = ["Part", "Plan", "Step"]

_SET_BEATS = 16  # of a row group in a set, at least: a cycle lies between two sets


@dataclass(frozen=True)
class Part:
    """The tokens that a command works on: the first ones, in the first row groups."""

    tokens: int
    groups: int


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command before allocation: fields that may be an :class:`Address`, operands, and what it writes."""

    fields: dict[str, int | Address]
    operands: Callable[[], bytes]
    write: TensorWrite
    base: Address | int


class Plan(Demands):
    """Collects the steps of a model for one accelerator, and everything that does not fit.

    Parameters
    ----------
    spec : AcceleratorSpec
    tokens : int
        Tokens of an image, T.
    embed : int
        Channels of the residual stream, E.
    rows : int64 array (T,)
        Row that each token has in memory: tokens may be in any order, as long as a row group has no gap.
    """

    def __init__(self, spec: AcceleratorSpec, tokens: int, embed: int, rows: np.ndarray):
        super().__init__(spec)
        self.tokens = tokens
        self.rows = rows
        self.groups = ceil_div(tokens, spec.rows)
        self.residual_columns = ceil_div(embed, spec.cols) * spec.cols
        self.embed = embed
        self.steps: list[Step] = []
        self.buffers: list[Buffer] = []
        self._residual_writer = 0
        self._table: bytes | None = None

    def _use_table(self, table: torch.Tensor | None, index_bits: int, bits: int, where: str) -> tuple[int, bytes]:
        """Return the flags of a step that uses ``table``, and its operand unless the table is the present one."""
        if table is None:
            return 0, b""
        self.need("index_bits", index_bits, self.spec.index_bits, where)
        self.need("codes up to", int(table.max()), (1 << bits) - 1, f"{where} (code table)")
        words = table_words(table, self.spec)
        if words == self._table:
            return Flag.TABLE, b""
        self._table = words
        return Flag.TABLE | Flag.NEW_TABLE, words

    def _set_tiles(self, tiles: int, tile_words: int, enough: int) -> int:
        """Return how many tiles a set has: ``enough``, or as many as fit the rings twice, in sets of equal size.

        The first set of a product is done row group by row group as its operand is written, so a set must not do a row
        group in less time than its writer takes; and in a large set the cycle between sets does not count.
        """
        spec = self.spec
        fits = [n for n in range(1, tiles + 1) if tiles % n == 0 and 2 * n * tile_words <= spec.weight_words
                and 2 * n * spec.cols <= spec.channel_words]
        return next((n for n in fits if n >= enough), max(fits, default=1))

    def _product(self, a: Activation, w_planes: int, tiles: int, set_tiles: int, acc: tuple[int, int],
                 where: str) -> dict[str, int]:
        """Return the fields of a product and check its capacities."""
        spec = self.spec
        passes = plane_passes(spec, a.planes, w_planes)
        if passes is None:
            self.misfits.append(Misfit("passes", f"{a.planes} x {w_planes} planes", "at most 4 passes", where))
        tile_words = w_planes * a.words
        self.need("weight_words", set_tiles * tile_words, spec.weight_words, where)
        self.need("channel_words", set_tiles * spec.cols, spec.channel_words, where)
        self.need("acc_bits", bits_of_range(*acc), spec.acc_bits, where)
        return {
            "opcode": Opcode.MATMUL, "k_words": a.words, "sets": tiles // set_tiles, "set_tiles": set_tiles,
            "set_words": set_tiles * tile_words, "tile_words": tile_words, "columns": set_tiles * spec.cols,
            "row_tiles": set_tiles, **(passes or {}),
        }

    # Steps

    def _add(self, fields: dict, write: TensorWrite, operands: Callable[[], bytes] = bytes, *,
             base: Address | int = 0, reads: Sequence[Buffer] = (), tokens: int | None = None) -> int:
        index = len(self.steps) + 1
        for buffer in (*reads, *([base.buffer] if isinstance(base, Address) else [])):
            buffer.use(index)
        if write.kind != "logits":
            write = replace(write, row_map=self.rows[:tokens])
        write = replace(write, index=index, planes=(fields.get("flags", 0) >> 8) + 1,
                        tiles=fields["row_tiles"] * fields.get("sets", 1), groups=fields["groups"])
        if write.kind != "logits":
            fields = {**fields, "dst_base": base, "dst_stride": write.stride, "dst_plane_stride": write.plane_stride}
        self.steps.append(Step(fields=fields, operands=operands, write=write, base=base))
        return index

    def tensor(self, name: str, rows: int, words: int, bits: int, channel_map: np.ndarray, *,
               signed: bool = False, pace: int = 0) -> Activation:
        """Return a new tensor of ``rows`` times ``words`` words per plane; its writer is the next step.

        ``pace`` are the cycles that its writer takes for a row group, if a product may have to wait for it.
        """
        self.need("code_bits", bits, self.spec.code_bits, name)
        planes = ceil_div(bits, self.spec.a_bits) if not signed else 1 if bits <= self.spec.w_bits else 2
        buffer = Buffer(name, planes * rows * words)
        self.buffers.append(buffer)
        return Activation(buffer=buffer, words=words, planes=planes, plane_words=rows * words, bits=bits,
                          channel_map=channel_map, writer=len(self.steps) + 1, pace=pace)

    def load(self, name: str, operands: Callable[[], bytes], *, behind: int = 0) -> None:
        """Fill the residual memory, after the step ``behind``, which reads it, is done."""
        self.need("residual_words", self.groups * self.residual_columns, self.spec.residual_words, "residual stream")
        columns = self.residual_columns
        self._residual_writer = self._add(
            {"opcode": Opcode.LOAD, "groups": self.groups, "columns": columns, "row_tiles": columns // self.spec.cols,
             "a_wait": behind},
            TensorWrite(trace=name, kind="residual", stride=columns, out_map=np.arange(self.embed)), operands)

    def input(self, name: str, columns: int, bits: int) -> Activation:
        """Write an image to activation memory."""
        tiles = ceil_div(columns, self.spec.cols)
        words = ceil_div(columns, self.spec.depth)
        y = self.tensor(name, self.groups, words, bits, np.arange(columns), pace=columns)
        self._add(
            {"opcode": Opcode.INPUT, "flags": y.planes - 1 << 8, "groups": self.groups, "columns": columns,
             "row_tiles": tiles, "code_high": (1 << bits) - 1},
            TensorWrite(trace=name, kind="act", stride=words, plane_stride=y.plane_words, out_map=y.channel_map),
            base=Address(y.buffer))
        return y

    def norm(self, name: str, layer: IntegerLayerNorm, part: Part, *, whole: bool = False) -> Activation:
        """Normalise the first row groups of the residual stream, as they are written or when the ``whole`` is."""
        spec = self.spec
        self.match("LayerNorm", layer.spec.canonical, spec.layernorm.canonical, name)
        words, groups = ceil_div(self.embed, spec.depth), part.groups
        y = self.tensor(name, groups, words, layer.out_bits, np.arange(self.embed), pace=self.embed)
        if not whole:
            y.buffer.use(self._residual_writer)  # it begins while that still reads its operands
        row = spec.layernorm.row_constants(min(self.embed, spec.max_embed))
        self._add(
            {"opcode": Opcode.NORM, "flags": Flag.WHOLE * whole | y.planes - 1 << 8, "a_wait": self._residual_writer,
             "a_group_stride": self.residual_columns, "groups": groups, "columns": self.embed,
             "row_tiles": ceil_div(self.embed, spec.cols), "code_high": (1 << layer.out_bits) - 1,
             "inverse0": row.inverse & 0xFFFF, "inverse1": row.inverse >> 16 & 0xFFFF, "inverse2": row.inverse >> 32,
             "norm": row.norm, "exponent": row.exponent},
            TensorWrite(trace=name, kind="act", stride=words, plane_stride=y.plane_words, out_map=y.channel_map),
            lambda: affine_words(layer, spec).tobytes(), base=Address(y.buffer), tokens=part.tokens)
        return y

    def linear(self, name: str, layer: IntegerLinear, a: Activation, target: Target, *, part: Part, whole: bool = False,
               out_map: np.ndarray | None = None, positions: int | None = None, transpose: bool = False,
               table: torch.Tensor | None = None, table_bits: int = 0, zero_pad: bool = False) -> Activation | None:
        """Multiply with weights from the stream; returns the codes, if any.

        ``out_map`` places the output channels among ``positions`` (default: one after the other). ``whole``: row groups
        of ``a`` are not those of its writer. ``zero_pad`` says that the padding is read as zeros.
        """
        spec, requantizer = self.spec, layer.requantizer
        channels = len(layer.weight)
        out_map = np.arange(channels) if out_map is None else out_map
        tiles = ceil_div(positions or channels, spec.cols)
        if layer.w_plane_bits != spec.w_bits:  # nothing below makes sense then
            where = f"{name} (width of a weight digit)"
            raise CompileError(spec, [*self.misfits, Misfit("w_bits", layer.w_plane_bits, spec.w_bits, where)])
        self.need("a_bits", a.bits, layer.a_bits, f"{name} (width of its input)")
        half, limit = 1 << spec.residual_bits - 1, signed_code_range(layer.out_bits, spec.w_bits)
        codes = (-limit, limit) if layer.signed_codes else (0, (1 << layer.out_bits) - 1)
        self.check_requantizer(requantizer, codes if target is Target.CODES else (-half, half - 1), name)
        planes = plane_count(layer, spec)
        tile_words = planes * a.words
        beats = tile_words * a.planes
        set_tiles = self._set_tiles(tiles, tile_words, ceil_div(max(a.pace, _SET_BEATS), beats))
        fields = self._product(a, planes, tiles, set_tiles, layer.acc_range, name)
        flags, table_operand = self._use_table(table, layer.out_bits, table_bits, name)
        flags |= Flag.SIGNED * layer.signed_codes | Flag.TRANSPOSE * transpose | Flag.WHOLE * whole
        y = None
        if target is Target.CODES:
            code_bits = table_bits or layer.out_bits
            rows, words = (tiles, ceil_div(part.groups, spec.word_tiles)) if transpose else (
                part.groups, ceil_div(tiles, spec.word_tiles))
            y = self.tensor(name, rows, words, code_bits, out_map, signed=layer.signed_codes)
            flags |= y.planes - 1 << 8
            write = TensorWrite(trace=name, kind="act", stride=words, plane_stride=y.plane_words,
                                out_map=out_map, transposed=transpose, signed=layer.signed_codes, zero_pad=zero_pad)
        elif target is Target.RESIDUAL:
            write = TensorWrite(trace=name, kind="residual", stride=self.residual_columns, out_map=out_map)
        else:
            fields["dst_stride"] = channels
            write = TensorWrite(trace=name, kind="logits", out_map=out_map)

        def operands() -> bytes:
            return table_operand + interleave(tiles // set_tiles, channel_words(requantizer, out_map, tiles, spec),
                                              weight_words(digit_planes(layer, spec), a, out_map, tiles, spec))

        index = self._add(
            {**fields, "opcode": fields["opcode"] | target << 8, "flags": flags, "a_wait": a.writer,
             "a_base": Address(a.buffer), "a_group_stride": a.words, "a_plane_stride": a.plane_words,
             "groups": part.groups,
             "zero_point": requantizer.zero_point, "low": requantizer.low, "high": requantizer.high},
            write, operands, base=Address(y.buffer) if y else 0, reads=[a.buffer], tokens=part.tokens)
        if target is Target.RESIDUAL:
            self._residual_writer = index
        return y

    def scores(self, name: str, head: int, q: Activation, k: Activation, y: Activation, *, part: Part, head_words: int,
               head_dim: int, key_zero: int, multiplier: int, scaling: tuple[int, int], offset: int,
               table: torch.Tensor | None = None) -> Activation:
        """Multiply the queries of a head with its keys, through the softmax unit, into ``y``."""
        spec = self.spec
        self.need("multiplier up to", multiplier, (1 << spec.requantize.multiplier_bits) - 1, name)
        self.check_scalings({scaling}, name)
        bound = head_dim * ((1 << q.bits) - 1) * signed_code_range(k.bits, spec.w_bits)
        operand = replace(q, words=head_words)
        fields = self._product(operand, k.planes, self.groups, self.groups, (-bound, bound), name)
        half = 1 << spec.softmax.score_bits - 1
        scalings = spec.requantize.scalings
        shift_index = scalings.index(scaling) if scaling in scalings else 0
        flags, table_operand = self._use_table(table, spec.softmax.out_bits, y.bits, name)
        index = self._add(
            {**fields, "opcode": fields["opcode"] | Target.SOFTMAX << 8,
             "flags": flags | Flag.WEIGHTS_ACT | Flag.KEY_BIAS | y.planes - 1 << 8, "a_wait": q.writer,
             "w_wait": k.writer,
             "a_base": Address(q.buffer, head * head_words), "a_group_stride": q.words,
             "a_plane_stride": q.plane_words, "groups": part.groups, "columns": self.tokens,
             "row_tiles": y.words * spec.word_tiles, "w_base": Address(k.buffer, head * head_words),
             "w_tile_stride": k.words, "w_plane_stride": k.plane_words, "low": -half, "high": half - 1,
             "key_zero": key_zero, "key_multiplier": multiplier, "key_shift": shift_index, "offset": offset,
             "code_high": (1 << y.bits) - 1},
            TensorWrite(trace=name, kind="act", stride=y.words, plane_stride=y.plane_words, head=head,
                        out_map=y.channel_map, zero_pad=True),
            lambda: table_operand, base=Address(y.buffer), reads=[q.buffer, k.buffer], tokens=part.tokens)
        return replace(y, writer=index)

    def context(self, name: str, head: int, p: Activation, v: Activation, y: Activation, *, part: Part, head_words: int,
                head_dim: int, requantizer: Requantizer) -> Activation:
        """Multiply the probabilities of a head with its values, into the head's channels of ``y``."""
        spec = self.spec
        tiles = ceil_div(head_dim, spec.cols)
        self.check_requantizer(requantizer, (0, (1 << y.bits) - 1), name)
        channels = slice(head * head_dim, (head + 1) * head_dim)
        own = replace(requantizer, bias=requantizer.bias[channels], multiplier=requantizer.multiplier[channels],
                      pre_shift=requantizer.pre_shift[channels], shift=requantizer.shift[channels])
        bound = self.tokens * ((1 << p.bits) - 1) * signed_code_range(v.bits, spec.w_bits)
        tile_words = v.planes * p.words
        set_tiles = self._set_tiles(tiles, tile_words, tiles)
        fields = self._product(p, v.planes, tiles, set_tiles, (-bound, bound), name)
        index = self._add(
            {**fields, "opcode": fields["opcode"] | Target.CODES << 8, "flags": Flag.WEIGHTS_ACT | y.planes - 1 << 8,
             "a_wait": p.writer, "w_wait": v.writer, "a_base": Address(p.buffer), "a_group_stride": p.words,
             "a_plane_stride": p.plane_words, "groups": part.groups,
             "w_base": Address(v.buffer, head * tiles * v.words), "w_tile_stride": v.words,
             "w_set_stride": set_tiles * v.words, "w_plane_stride": v.plane_words,
             "zero_point": own.zero_point, "low": own.low, "high": own.high},
            TensorWrite(trace=name, kind="act", stride=y.words, plane_stride=y.plane_words, head=head,
                        out_map=np.arange(head_dim)),
            lambda: channel_words(own, np.arange(head_dim), tiles, spec).tobytes(),
            base=Address(y.buffer, head * head_words), reads=[p.buffer, v.buffer], tokens=part.tokens)
        return replace(y, writer=index)
