"""Collects columns of codes into tiles and writes them, plane by plane, to activation memory."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import FIELD_BITS

from .layouts import tile_address
from .ports import activation_write

__all__ = ["TileWriter", "code_column"]


def code_column(spec: AcceleratorSpec) -> data.StructLayout:
    """Return the payload of one column of codes.

    ``code`` is 8 bits for each of ``rows`` lanes; ``address`` and ``last`` are read with the last column of a tile:
    tile address of plane 0, and whether it is the last tile of its command. ``planes`` (less one), ``plane_stride``
    in activation words, ``signed`` and ``transpose`` hold for the tile.
    """
    return data.StructLayout({
        "code": data.ArrayLayout(unsigned(spec.code_bits), spec.rows), "address": tile_address(spec),
        "plane_stride": FIELD_BITS, "planes": 2, "signed": 1, "transpose": 1,
    })


class TileWriter(wiring.Component):
    """Every ``cols`` columns become one tile, written once per plane.

    Element ``[row][col]`` of the tile of plane p is digit p of the code in lane ``row`` of column ``col``; with
    ``transpose`` it is element ``[col][row]``. Digits of unsigned codes are their bits ``p * a_bits`` and up; a
    signed code of one plane is written as it is, one of two planes as narrow digits ``l + 2**w_bits * h`` with the
    digit ``-2**(w_bits-1)`` moved up by one (:func:`vitric.golden.arith.nearest_signed_code`).

    *Handshake*: rules 1 to 4 on ``i``. *Latency*: plane 0 is written in the cycle after the tile's last column,
    plane p in the p-th cycle after that. *Interval* 1 cycle per column as long as a tile has at least as many columns
    as planes.

    Members
    -------
    i : stream of code_column(spec), in
    busy : 1, out
        Something taken is not written yet.
    write : write port of activation memory
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        super().__init__({
            "i": In(stream.Signature(code_column(spec))), "busy": Out(1),
            "write": Out(activation_write(spec)),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec = self.spec
        column = data.ArrayLayout(unsigned(spec.code_bits), spec.rows)
        columns = Signal(data.ArrayLayout(column, spec.cols - 1))
        count = Signal(range(spec.cols))
        codes = Signal(data.ArrayLayout(column, spec.cols))  # [col][row] of the complete tile
        address, stride = Signal(tile_address(spec)), Signal(FIELD_BITS)
        left = Signal(3)  # planes still to be written
        plane = Signal(2)
        is_signed, transpose, two_planes = Signal(), Signal(), Signal()

        complete = self.i.valid & (count == spec.cols - 1)
        m.d.comb += [
            self.i.ready.eq((count != spec.cols - 1) | (left <= 1)),
            self.busy.eq((left != 0) | (count != 0)),
            self.write.en.eq(left != 0),
            self.write.address.eq(address),
        ]
        with m.If(left != 0):
            m.d.sync += [
                left.eq(left - 1), plane.eq(plane + 1),
                address.eq(address + (stride << exact_log2(spec.word_tiles))),
            ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [
                columns.eq(Cat(columns.as_value(), self.i.p.code.as_value())[column.size:]),
                count.eq(count + 1),
            ]
            with m.If(complete):
                m.d.sync += [
                    codes.eq(Cat(columns.as_value(), self.i.p.code.as_value())),
                    address.eq(self.i.p.address), stride.eq(self.i.p.plane_stride), left.eq(self.i.p.planes + 1),
                    plane.eq(0), is_signed.eq(self.i.p.signed), transpose.eq(self.i.p.transpose),
                    two_planes.eq(self.i.p.planes != 0), count.eq(0),
                ]

        for row in range(spec.rows):
            for col in range(spec.cols):
                straight = self._digit(codes[col][row], plane, is_signed, two_planes)
                turned = self._digit(codes[row][col], plane, is_signed, two_planes)
                m.d.comb += self.write.data[row][col].eq(Mux(transpose, turned, straight))
        return m

    def _digit(self, code, plane, is_signed, two_planes):
        """Return digit ``plane`` of a code."""
        spec = self.spec
        digit = code.word_select(plane, spec.a_bits) if spec.a_bits < spec.code_bits else code
        if spec.w_bits < spec.code_bits:
            low, half = code[:spec.w_bits], 1 << spec.w_bits - 1
            narrow = Mux(low == half, half + 1, low)
            high = code[spec.w_bits:].as_signed() + code[spec.w_bits - 1]
            signed_digit = Mux(two_planes, Mux(plane[0], high, narrow), low)
        else:
            signed_digit = code
        return Mux(is_signed, signed_digit, digit)[:spec.element_bits]
