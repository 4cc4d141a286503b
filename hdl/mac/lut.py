"""Dot product and accumulator from carry chains, with the products inside the carry cells."""

from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from vitric.golden.spec.mac import MacArraySpec

from ..fabric.carry import CarryChain, Cell
from .generic import accumulator_members, dot_members
from .heap import Chain, fewest_bits, plan_level

__all__ = ["LutAccumulator", "LutDot"]

_MAX_POSITIONS = 48
"""Longest row of carry cells; sums share a row, and each row spends a position on its beginning."""


class _Product(NamedTuple):
    """A bit of a partial product, ``x & y``, not computed yet."""

    x: Value
    y: Value


class _Bit(NamedTuple):
    """A bit of the heap; its complement counts where ``inverted``."""

    value: Value
    inverted: bool


class _Row:
    """A row of carry cells that collects sums."""

    def __init__(self):
        self.cells = []
        self.inputs = []
        self.outputs = []

    def append(self, cell, inputs=(), column=None):
        """Add a position; ``column`` says where in the heap its output belongs, None for nowhere."""
        self.cells.append(cell)
        self.inputs.append(dict(zip(cell.inputs, inputs, strict=True)))
        self.outputs.append(column)


def _pair_cell(x, y):
    """Return the cell that adds two bits, either of which may be None, and its inputs."""
    if isinstance(x, _Product):
        return Cell.AND_AND, (*x, *y)
    present = [bit for bit in (x, y) if bit is not None]
    present.sort(key=lambda bit: bit.inverted)
    cells = {(): Cell.EMPTY, (False,): Cell.ONE_BIT, (True,): Cell.ONE_NOT, (False, False): Cell.ADD,
             (False, True): Cell.ADD_NOT, (True, True): Cell.NOT_NOT}
    return cells[tuple(bit.inverted for bit in present)], tuple(bit.value for bit in present)


def _link_cell(bit, inverted):
    """Return the cell that begins a sum with ``bit`` or None as its carry in, and its inputs.

    A sum of bits that all count complemented lacks a carry in when its first carry is 1.
    """
    if bit is None:
        return (Cell.LINK_ONE if inverted else Cell.LINK_ZERO), ()
    if isinstance(bit, _Product):
        return Cell.LINK_AND, tuple(bit)
    return (Cell.LINK_NOT, (bit.value,)) if bit.inverted else (Cell.LINK_AND, (bit.value, Const(1)))


def _fill_rows(chains: list[Chain], *, inverted: bool) -> list[_Row]:
    """Put the sums of a level into rows, each row as full as they allow."""
    rows = []
    carry_column = None  # where the carry out of the sum before belongs: the next link shows it
    for chain in chains:
        if carry_column is not None and len(rows[-1].cells) + len(chain.pairs) + 2 > _MAX_POSITIONS:
            rows[-1].append(Cell.LINK_ZERO, column=carry_column)
            carry_column = None
        if carry_column is None:
            rows.append(_Row())
        rows[-1].append(*_link_cell(chain.carry_in, inverted), column=carry_column)
        for n, pair in enumerate(chain.pairs):
            rows[-1].append(*_pair_cell(*pair), column=chain.start + n)
        carry_column = chain.start + len(chain.pairs) if chain.carry_out else None
    if carry_column is not None:
        rows[-1].append(Cell.LINK_ZERO, column=carry_column)
    return rows


class LutDot(wiring.Component):
    """Dot product as one heap of bits, summed by carry chains level by level with registers in between.

    The bits are the products ``a[d][i] & w[d][j]`` of weight ``2**(i+j)``. Those of the weights' sign bit count
    negative: ``-x = (1 - x) - 1``, so they enter complemented, and the constant that makes up for the -1 of all of
    them joins the heap as its one bits. The first level forms the products inside the carry cells. Full adders are
    self-dual (complemented inputs give complemented outputs), so the first level adds negative bits as they are,
    apart from the others, and the second reads the results complemented.

    Members are those of :func:`~vitric.hdl.mac.generic.dot_members`.

    Parameters
    ----------
    spec : MacArraySpec
        Shape and widths.
    fabric : {"generic", "ecp5"}
        See :class:`~vitric.hdl.fabric.carry.CarryChain`.
    """

    def __init__(self, spec: MacArraySpec, *, fabric: str = "generic"):
        self.spec = spec
        self.fabric = fabric
        super().__init__(dot_members(spec))

    def elaborate(self, platform):
        """Build the levels; the heap is down to one row before the last of them or with it."""
        m = Module()
        columns = self._first_level(m)
        for level in range(1, self.spec.tree_levels):
            chains, left = plan_level(columns, fewest_bits(columns))
            columns = self._sums(m, f"level_{level}", chains, inverted=False)
            for column, bits in zip(columns, left, strict=True):
                column += [self._delay(m, bit, f"left_{level}") for bit in bits]
        for k, column in enumerate(columns):
            [bit] = column or [_Bit(Const(0), False)]
            m.d.comb += self.dot[k].eq(~bit.value if bit.inverted else bit.value)
        return m

    def _first_level(self, m):
        """Add the partial products: the negative ones apart, because they come out complemented."""
        spec = self.spec
        sign = spec.w_bits - 1
        columns = [[] for _ in range(spec.dot_bits)]
        for name, planes in ("positive", range(sign)), ("negative", [sign]):
            products = [[] for _ in range(spec.dot_bits)]
            for d in range(spec.depth):
                for j in planes:
                    for i in range(spec.a_bits):
                        products[i + j].append(_Product(self.a[d][i], self.w[d][j]))
            chains, left = plan_level(products, 2)
            for column, bits in zip(columns, self._sums(m, name, chains, inverted=name == "negative"), strict=True):
                column += bits
            for column, bits in zip(columns, left, strict=True):
                for product in bits:
                    bit = _Bit(product.x & product.y, name == "negative")
                    column.append(self._delay(m, bit, f"{name}_left"))
        constant = -(spec.depth * spec.a_max << sign)
        for k, column in enumerate(columns):
            if constant >> k & 1:
                column.append(_Bit(Const(1), False))
        return columns

    def _sums(self, m, name, chains, *, inverted):
        """Build the rows of a level and register them; return the sums' bits by column."""
        columns = [[] for _ in range(self.spec.dot_bits)]
        for index, row in enumerate(_fill_rows(chains, inverted=inverted)):
            chain = CarryChain(row.cells, fabric=self.fabric)
            m.submodules[f"{name}_{index}"] = chain
            for port in "abcd":
                m.d.comb += getattr(chain, port).eq(Cat(inputs.get(port, Const(1)) for inputs in row.inputs))
            sums = Signal(len(row.cells), name=f"{name}_{index}_sums", reset_less=True)
            with m.If(self.en):
                m.d.sync += sums.eq(chain.s)
            for n, column in enumerate(row.outputs):
                if column is not None:
                    columns[column].append(_Bit(sums[n], inverted))
        return columns

    def _delay(self, m, bit, name):
        """Return the bit one level later; constants stay what they are."""
        if isinstance(bit.value, Const):
            return bit
        later = Signal(name=name, reset_less=True)
        with m.If(self.en):
            m.d.sync += later.eq(bit.value)
        return _Bit(later, bit.inverted)


class LutAccumulator(wiring.Component):
    """Accumulator in one carry chain, with the Horner shift inside the carry cells.

    A cell has room to add one bit of the dot product to one of two bits of the accumulator, so two shifts cost
    nothing; each further one costs a multiplexer. Clearing uses the registers' synchronous reset.

    Members are those of :func:`~vitric.hdl.mac.generic.accumulator_members`.

    Parameters
    ----------
    spec : MacArraySpec
        Shape and widths.
    fabric : {"generic", "ecp5"}
        See :class:`~vitric.hdl.fabric.carry.CarryChain`.
    """

    def __init__(self, spec: MacArraySpec, *, fabric: str = "generic"):
        self.spec = spec
        self.fabric = fabric
        super().__init__(accumulator_members(spec))

    def elaborate(self, platform):
        """Build the register and its chain."""
        m = Module()
        bits, shifts = self.spec.acc_bits, self.spec.shifts
        acc = Signal(bits, reset_less=True)
        cells, inputs = [Cell.LINK_ZERO], [{}]
        moved = self.shift.any()
        for k in range(bits):
            sources = [acc[k - amount] if amount <= k else Const(0) for amount in shifts[1:]]
            used = {"a": self.dot[min(k, len(self.dot) - 1)]}
            if not sources:
                cells.append(Cell.ADD)
                used |= {"c": acc[k]}
            elif shifts[1] > k:
                cells.append(Cell.UNLESS)
                used |= {"b": moved, "d": acc[k]}
            else:
                cells.append(Cell.SELECT)
                shifted = sources[0]
                for index, source in enumerate(sources[1:], start=2):
                    shifted = Mux(self.shift == index, source, shifted)
                used |= {"b": moved, "c": shifted, "d": acc[k]}
            inputs.append(used)
        m.submodules.chain = chain = CarryChain(cells, fabric=self.fabric)
        for port in "abcd":
            m.d.comb += getattr(chain, port).eq(Cat(used.get(port, Const(1)) for used in inputs))
        m.d.comb += self.sum.eq(chain.s[1:])
        with m.If(self.clear):
            m.d.sync += acc.eq(0)
        with m.Elif(self.en):
            m.d.sync += acc.eq(chain.s[1:])
        return m
