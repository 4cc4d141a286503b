"""Collects columns of codes into tiles and writes them, plane by plane, to activation memory."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import FIELD_BITS

from .layouts import act_tile, assign, code_columns, tile_address
from .ports import activation_write

__all__ = ["TileWriter", "code_beat"]


def code_beat(spec: AcceleratorSpec) -> data.StructLayout:
    """Return the payload of one or ``drain_cols`` columns of codes.

    ``code`` is 8 bits for each column and row; with ``single`` only column 0 counts. ``signed`` and ``planes`` (less
    one) go with each beat. The other fields are read with the last column of a tile: ``address`` of plane 0,
    ``plane_stride`` in activation words, ``transpose``, and whether it ends a row group of its tensor (``ends_group``).
    """
    return data.StructLayout({
        "code": code_columns(spec), "single": 1, "signed": 1, "address": tile_address(spec), "planes": 2,
        "plane_stride": FIELD_BITS, "transpose": 1, "ends_group": 1,
    })


class TileWriter(wiring.Component):
    """Every ``cols`` columns become one tile, written once per plane.

    Element ``[row][col]`` of the tile of plane p is digit p of the code in lane ``row`` of column ``col``; with
    ``transpose`` it is element ``[col][row]``. Digits of unsigned codes are their bits ``p * a_bits`` and up; a
    signed code of one plane is written as it is, one of two planes as narrow digits ``l + 2**w_bits * h`` with the
    digit ``-2**(w_bits-1)`` moved up by one (:func:`vitric.golden.arith.nearest_signed_code`).

    *Handshake*: rules 1 to 4 on ``i``, which is ready as long as tiles are at least ``planes`` cycles apart and every
    write is granted. A write with ``write.en`` takes place if ``grant`` is 1, else it waits.
    *Latency*: plane 0 is written in the second cycle after the tile's last column, plane p in the p-th after that.

    Members
    -------
    i : stream of code_beat(spec), in
    busy : 1, out
        Something taken is not written yet.
    group_done : 1, out
        The last plane of a tile with ``ends_group`` is being written.
    write : write port of activation memory
    grant : 1, in
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        super().__init__({
            "i": In(stream.Signature(code_beat(spec))), "busy": Out(1), "group_done": Out(1),
            "write": Out(activation_write(spec)), "grant": In(1),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec = self.spec
        digits = spec.code_planes
        element = data.ArrayLayout(unsigned(spec.element_bits), digits)
        tile = Signal(data.ArrayLayout(data.ArrayLayout(element, spec.rows), spec.cols),
                      reset_less=True)  # [col][row][digit]
        planes = [Signal(act_tile(spec), name=f"plane_{p}", reset_less=True) for p in range(digits)]
        col = Signal(range(spec.cols))
        full, free, take, advance = Signal(), Signal(), Signal(), Signal()
        left = Signal(3)  # planes still to be written
        held = Signal(data.StructLayout({name: shape for name, shape in code_beat(spec).members.items()
                                         if name not in ("code", "single", "signed")}), reset_less=True)
        ends_group, stride = Signal(), Signal(FIELD_BITS)

        step = Mux(self.i.p.single, 1, spec.drain_cols)
        last_col = Mux(self.i.p.single, spec.cols - 1, spec.cols - spec.drain_cols)
        m.d.comb += [
            advance.eq((left != 0) & self.grant), free.eq((left == 0) | ((left == 1) & self.grant)),
            take.eq(full & free), self.i.ready.eq(~full | free), self.busy.eq((left != 0) | full | (col != 0)),
            self.write.en.eq(left != 0), self.write.data.eq(planes[0]),
            self.group_done.eq(advance & (left == 1) & ends_group),
        ]
        with m.If(take):
            m.d.sync += [
                full.eq(0), left.eq(held.planes + 1), self.write.address.eq(held.address),
                stride.eq(held.plane_stride), ends_group.eq(held.ends_group),
            ]
        with m.Elif(advance):
            m.d.sync += [
                left.eq(left - 1),
                self.write.address.eq(self.write.address + (stride << exact_log2(spec.word_tiles))),
            ]
        for row in range(spec.rows):
            for c in range(spec.cols):
                for p, plane in enumerate(planes):
                    following = planes[min(p + 1, digits - 1)][row][c]
                    with m.If(take):
                        m.d.sync += plane[row][c].eq(Mux(held.transpose, tile[row][c][p], tile[c][row][p]))
                    with m.Elif(advance):
                        m.d.sync += plane[row][c].eq(following)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += col.eq(col + step)
            with m.If(col == last_col):
                m.d.sync += [col.eq(0), full.eq(1), *assign(held, self.i.p)]
            for c in range(spec.cols):
                part = c % spec.drain_cols
                here = Mux(self.i.p.single, col == c, col == c - part)
                with m.If(here):
                    for row in range(spec.rows):
                        code = Mux(self.i.p.single, self.i.p.code[0][row], self.i.p.code[part][row])
                        for p, digit in enumerate(self._digits(code, digits)):
                            m.d.sync += tile[c][row][p].eq(digit)
        return m

    def _digits(self, code, count):
        """Return the digits of a code."""
        spec = self.spec
        unsigned_digits = [code[p * spec.a_bits:(p + 1) * spec.a_bits] for p in range(count)]
        if spec.w_bits >= spec.code_bits:
            return [Mux(self.i.p.signed, code, digit) for digit in unsigned_digits]
        low, half = code[:spec.w_bits], 1 << spec.w_bits - 1
        narrow = Mux((self.i.p.planes != 0) & (low == half), half + 1, low)
        high = code[spec.w_bits:].as_signed() + code[spec.w_bits - 1]
        signed_digits = [narrow, high, *[0] * count][:count]
        return [Mux(self.i.p.signed, signed_digit, digit)  # the digit is extended by its sign
                for signed_digit, digit in zip(signed_digits, unsigned_digits, strict=True)]
