"""Where the next result columns of a command go."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import FIELD_BITS, Flag, Opcode
from vitric.golden.spec.limits import field_bits

from .layouts import ROW_COMMAND, WRITE_COMMAND, flag, tile_address

__all__ = ["ProductPosition", "RowPosition"]


class ProductPosition(wiring.Component):
    """Counts sets, row groups, tiles and columns of a product and derives the addresses of the present columns.

    With set s, row group g, tile t of the row (``row_tiles`` of them), column c of the tile and
    ``j = s * row_tiles + t``: the tile address is ``(dst_base + g * dst_stride) * word_tiles + j``, or with the
    ``transpose`` flag ``(dst_base + j * dst_stride) * word_tiles + g``; the residual address is
    ``dst_base + g * dst_stride + j * cols + c``.

    ``start`` sets it to the first columns of ``command``, ``step`` moves it on by ``drain_cols``; both take effect in
    the next cycle.

    Members
    -------
    command : WRITE_COMMAND, in
        Held from the cycle of ``start`` on.
    start, step : 1, in
    tile_address : unsigned(16 + log2(word_tiles)), out
    residual_address : unsigned(16), out
        Both may lie beyond the memories; the user checks.
    first_group : 1, out
    ends_group : 1, out
        These are the last columns of their row group, in all sets.
    end : 1, out
        These are the last columns of the command.
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        super().__init__({
            "command": In(WRITE_COMMAND), "start": In(1), "step": In(1), "tile_address": Out(tile_address(spec)),
            "residual_address": Out(FIELD_BITS), "first_group": Out(1), "ends_group": Out(1), "end": Out(1),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec, command = self.spec, self.command
        transpose = flag(command, Flag.TRANSPOSE)
        col = Signal(range(spec.cols))
        sets, groups, tiles = (Signal(field_bits(spec, n, Opcode.MATMUL), name=f"{n}_left")
                               for n in ("sets", "groups", "row_tiles"))
        tile, set_tile, group = Signal(FIELD_BITS), Signal(FIELD_BITS), Signal.like(groups)
        group_row, tile_row, set_row = (Signal(FIELD_BITS, name=n) for n in ("group_row", "tile_row", "set_row"))
        end_tile, end_row, end_set = Signal(), Signal(), Signal()
        next_row = Signal(FIELD_BITS)
        m.d.comb += [
            self.tile_address.eq(
                (Mux(transpose, tile_row, group_row) << exact_log2(spec.word_tiles)) + Mux(transpose, group, tile)),
            self.residual_address.eq(group_row + (tile << exact_log2(spec.cols)) + col),
            self.first_group.eq(group == 0), self.ends_group.eq(end_row & (sets == 1)),
            end_tile.eq(col == spec.cols - spec.drain_cols), end_row.eq(end_tile & (tiles == 1)),
            end_set.eq(end_row & (groups == 1)), self.end.eq(end_set & (sets == 1)),
            next_row.eq(tile_row + command.dst_stride),
        ]
        with m.If(self.start):
            m.d.sync += [
                col.eq(0), tile.eq(0), set_tile.eq(0), group.eq(0),
                group_row.eq(command.dst_base), tile_row.eq(command.dst_base), set_row.eq(command.dst_base),
                sets.eq(command.sets), groups.eq(command.groups), tiles.eq(command.row_tiles),
            ]
        with m.Elif(self.step):
            m.d.sync += col.eq(col + spec.drain_cols)
            with m.If(end_tile):
                m.d.sync += [col.eq(0), tile.eq(tile + 1), tile_row.eq(next_row), tiles.eq(tiles - 1)]
            with m.If(end_row):
                m.d.sync += [
                    tile.eq(set_tile), tile_row.eq(set_row), tiles.eq(command.row_tiles),
                    group.eq(group + 1), group_row.eq(group_row + command.dst_stride), groups.eq(groups - 1),
                ]
            with m.If(end_set):
                m.d.sync += [
                    tile.eq(tile + 1), set_tile.eq(tile + 1), tile_row.eq(next_row), set_row.eq(next_row),
                    group.eq(0), group_row.eq(command.dst_base), groups.eq(command.groups), sets.eq(sets - 1),
                ]
        return m


class RowPosition(wiring.Component):
    """Counts row groups, tiles and columns of a command that makes rows: INPUT, NORM, softmax codes.

    Tile t of row group g is at tile address ``(dst_base + g * dst_stride) * word_tiles + t``; there are ``row_tiles``
    of them, and the columns from ``columns`` on are padding.

    ``start`` and ``step`` as in :class:`ProductPosition`; a step is 1 column with ``single``, else ``drain_cols``.

    Members
    -------
    command : ROW_COMMAND, in
    start, step, single : 1, in
    tile_address : unsigned(16 + log2(word_tiles)), out
    is_padding : 1, out
        None of the present columns counts.
    mask : unsigned(drain_cols), out
        Which of them do.
    last_column : 1, out
        The first of them is the last column of a row.
    last_group, ends_group, end : 1, out
        The last row group; the last columns of a row group; of the command.
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        super().__init__({
            "command": In(ROW_COMMAND), "start": In(1), "step": In(1), "single": In(1),
            "tile_address": Out(tile_address(spec)), "is_padding": Out(1), "mask": Out(spec.drain_cols),
            "last_column": Out(1), "last_group": Out(1), "ends_group": Out(1), "end": Out(1),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec, command = self.spec, self.command
        col = Signal(range(spec.cols))
        groups, tiles, left = (
            Signal(field_bits(spec, n, Opcode.INPUT, Opcode.NORM, Opcode.MATMUL), name=f"{n}_left")
            for n in ("groups", "row_tiles", "columns"))
        tile, group_row = Signal.like(tiles), Signal(FIELD_BITS)
        step = Mux(self.single, 1, spec.drain_cols)
        last = Mux(self.single, spec.cols - 1, spec.cols - spec.drain_cols)
        end_tile = Signal()
        m.d.comb += [
            self.tile_address.eq((group_row << exact_log2(spec.word_tiles)) + tile),
            self.is_padding.eq(left == 0), self.mask.eq(Cat(left > c for c in range(spec.drain_cols))),
            self.last_column.eq(left == 1), self.last_group.eq(groups == 1),
            end_tile.eq(col == last), self.ends_group.eq(end_tile & (tiles == 1)),
            self.end.eq(self.ends_group & self.last_group),
        ]
        with m.If(self.start):
            m.d.sync += [
                col.eq(0), tile.eq(0), group_row.eq(command.dst_base), groups.eq(command.groups),
                tiles.eq(command.row_tiles), left.eq(command.columns),
            ]
        with m.Elif(self.step):
            m.d.sync += [col.eq(col + step), left.eq(Mux(left > step, left - step, 0))]
            with m.If(end_tile):
                m.d.sync += [col.eq(0), tile.eq(tile + 1), tiles.eq(tiles - 1)]
            with m.If(self.ends_group):
                m.d.sync += [
                    tile.eq(0), tiles.eq(command.row_tiles), left.eq(command.columns),
                    group_row.eq(group_row + command.dst_stride), groups.eq(groups - 1),
                ]
        return m
