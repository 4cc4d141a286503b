"""Add up a heap of bits in hardware: rows of carry cells with registers between the levels."""

from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Signal, Value

from ..fabric.carry import CarryChain, Cell
from .heap import Chain, best_patience, fewest_bits, plan_level

__all__ = ["Bit", "HeapAdder", "Product"]

_MAX_POSITIONS = 72
"""Longest row of carry cells; sums share a row, and each row spends a position on its beginning."""


class Product(NamedTuple):
    """A bit of a partial product, ``x & y``, not computed yet."""

    x: Value
    y: Value


class Bit(NamedTuple):
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
    if isinstance(x, Product):
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
    if isinstance(bit, Product):
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


class HeapAdder:
    """Adds heaps of ``width`` columns, modulo ``2**width``, inside the module of a unit.

    Every register advances when ``en`` is 1 and has no reset.

    Parameters
    ----------
    m : Module
        Where rows and registers go.
    en : Value
        One bit.
    width : int
        Columns of the heaps.
    fabric : str
        See :class:`~vitric.hdl.fabric.carry.CarryChain`.
    """

    def __init__(self, m: Module, *, en: Value, width: int, fabric: str):
        self._m = m
        self._en = en
        self._width = width
        self._fabric = fabric

    def sums(self, name: str, chains: list[Chain], *, inverted: bool = False) -> list[list[Bit]]:
        """Build the rows of a level and register them; return the sums' bits by column.

        With ``inverted``, all bits that the chains take count complemented, and so do the sums.
        """
        columns = [[] for _ in range(self._width)]
        for index, row in enumerate(_fill_rows(chains, inverted=inverted)):
            chain = CarryChain(row.cells, fabric=self._fabric)
            self._m.submodules[f"{name}_{index}"] = chain
            for port in "abcd":
                self._m.d.comb += getattr(chain, port).eq(Cat(inputs.get(port, Const(1)) for inputs in row.inputs))
            sums = self.register(chain.s, f"{name}_{index}_sums")
            for n, column in enumerate(row.outputs):
                if column is not None:
                    columns[column].append(Bit(sums[n], inverted))
        return columns

    def products(self, positive: list[list[Product]], negative: list[list[Product]]) -> list[list[Bit]]:
        """Return the heap of products, some of which count negative, one level later.

        ``-x = (1 - x) - 1``: negative products enter complemented, and the constant that makes up for the -1 of all of
        them joins the heap as its one bits. Full adders are self-dual (complemented inputs give complemented outputs),
        so this level adds negative products as they are, apart from the others, and the next reads the results
        complemented.

        Parameters
        ----------
        positive, negative : list of lists of Product
            By column.
        """
        columns = [[] for _ in range(self._width)]
        for name, products, inverted in ("positive", positive, False), ("negative", negative, True):
            chains, left = plan_level(products, 2)
            for column, bits in zip(columns, self.sums(name, chains, inverted=inverted), strict=True):
                column += bits
            for column, bits in zip(columns, left, strict=True):
                column += [self.delay(Bit(bit.x & bit.y, inverted), f"{name}_left") for bit in bits]
        constant = -sum(len(column) << k for k, column in enumerate(negative))
        for k, column in enumerate(columns):
            if constant >> k & 1:
                column.append(Bit(Const(1), False))
        return columns

    def register(self, value: Value, name: str) -> Signal:
        """Return the value one level later."""
        later = Signal(len(value), name=name, reset_less=True)
        with self._m.If(self._en):
            self._m.d.sync += later.eq(value)
        return later

    def delay(self, bit: Bit, name: str) -> Bit:
        """Return the bit one level later; constants stay what they are."""
        if isinstance(bit.value, Const):
            return bit
        return Bit(self.register(bit.value, name), bit.inverted)

    def total(self, name: str, columns: list[list[Bit]], levels: int) -> Value:
        """Return the sum of a heap, ``levels`` levels later; rows are named after ``name`` and their level.

        Raises
        ------
        ValueError
            It takes more levels.
        """
        patience = best_patience(tuple(map(len, columns)), levels)
        for level in range(1, levels + 1):
            chains, left = plan_level(columns, fewest_bits(columns), patience)
            columns = self.sums(f"{name}_{level}", chains)
            for column, bits in zip(columns, left, strict=True):
                column += [self.delay(bit, f"{name}_left_{level}") for bit in bits]
        bits = [column[0] if column else Bit(Const(0), False) for column in columns]
        return Cat(~bit.value if bit.inverted else bit.value for bit in bits)
