"""Where the next result column of a command goes."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import FIELD_BITS, Flag, Opcode

from .layouts import COMMAND, flag, opcode, tile_address

__all__ = ["Position"]


class Position(wiring.Component):
    """Counts sets, row groups, tiles and columns of a command and derives the addresses of the present column.

    With set s, row group g, tile t of the row (``row_tiles`` of them), column c of the tile and
    ``j = s * row_tiles + t``: the tile address is ``(dst_base + g * dst_stride) * word_tiles + j``, or with the
    ``transpose`` flag ``(dst_base + j * dst_stride) * word_tiles + g``; the residual address is
    ``dst_base + g * dst_stride + j * cols + c``.

    ``start`` sets it to the first column, ``step`` moves it on; both take effect in the next cycle.

    Members
    -------
    command : COMMAND, in
    start, step : 1, in
    tile_address : unsigned(16 + log2(word_tiles)), out
    residual_address : unsigned(16), out
        Both may lie beyond the memories; the user checks.
    channel : unsigned(16), out
        ``j * cols + c``.
    column : unsigned(16), out
        Column of the row.
    first_group, last_group : 1, out
    is_padding : 1, out
        The column of the row is not below ``columns``.
    end : 1, out
        This is the last column of the command.
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        super().__init__({
            "command": In(COMMAND), "start": In(1), "step": In(1),
            "tile_address": Out(tile_address(spec)), "residual_address": Out(FIELD_BITS),
            "channel": Out(FIELD_BITS), "column": Out(FIELD_BITS), "first_group": Out(1),
            "last_group": Out(1), "is_padding": Out(1), "end": Out(1),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        command = self.command
        transpose = flag(command, Flag.TRANSPOSE)
        col = Signal(range(self.spec.cols))
        sets, groups, tiles = (Signal(FIELD_BITS, name=f"{n}_left") for n in ("sets", "groups", "tiles"))
        tile, set_tile, group = (Signal(FIELD_BITS, name=n) for n in ("tile", "set_tile", "group"))
        group_row, tile_row, set_row = (Signal(FIELD_BITS, name=n) for n in ("group_row", "tile_row", "set_row"))
        end_tile, end_row, end_set = Signal(), Signal(), Signal()
        next_row, last_column = Signal(FIELD_BITS), Signal(FIELD_BITS)

        m.d.comb += [
            self.channel.eq((tile << exact_log2(self.spec.cols)) + col),
            self.tile_address.eq(
                (Mux(transpose, tile_row, group_row) << exact_log2(self.spec.word_tiles))
                + Mux(transpose, group, tile)),
            self.residual_address.eq(group_row + self.channel),
            self.first_group.eq(group == 0), self.last_group.eq(groups == 1),
            end_tile.eq(col == self.spec.cols - 1),
            end_row.eq(end_tile & (tiles == 1)),
            end_set.eq(end_row & (groups == 1)),
            self.end.eq(end_set & (sets == 1)),
            next_row.eq(tile_row + command.dst_stride),
        ]
        with m.If(self.start):
            m.d.sync += [
                col.eq(0), self.column.eq(0), self.is_padding.eq(0), tile.eq(0), set_tile.eq(0), group.eq(0),
                group_row.eq(command.dst_base), tile_row.eq(command.dst_base), set_row.eq(command.dst_base),
                sets.eq(Mux(opcode(command) == Opcode.MATMUL, command.sets, 1)),
                groups.eq(command.groups), tiles.eq(command.row_tiles), last_column.eq(command.columns - 1),
            ]
        with m.Elif(self.step):
            m.d.sync += [col.eq(col + 1), self.column.eq(self.column + 1)]
            with m.If(self.column == last_column):
                m.d.sync += self.is_padding.eq(1)
            with m.If(end_tile):
                m.d.sync += [col.eq(0), tile.eq(tile + 1), tile_row.eq(next_row), tiles.eq(tiles - 1)]
            with m.If(end_row):
                m.d.sync += [
                    self.column.eq(0), self.is_padding.eq(0), tile.eq(set_tile), tile_row.eq(set_row),
                    tiles.eq(command.row_tiles),
                    group.eq(group + 1), group_row.eq(group_row + command.dst_stride), groups.eq(groups - 1),
                ]
            with m.If(end_set):
                m.d.sync += [
                    tile.eq(tile + 1), set_tile.eq(tile + 1), tile_row.eq(next_row), set_row.eq(next_row),
                    group.eq(0), group_row.eq(command.dst_base), groups.eq(command.groups), sets.eq(sets - 1),
                ]
        return m
