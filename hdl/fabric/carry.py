"""Carry chains whose cells compute more than a sum of two bits.

A carry cell of four inputs adds two bits, each of which may itself be a small function of the inputs: a product,
a complement, a selection. So the partial products of a multiplier and the multiplexer of an accumulator cost no
logic besides the adder.
"""

import enum

from amaranth.hdl import Cat, Const, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.check import check_choice

from . import FABRICS

__all__ = ["CarryChain", "Cell", "ecp5_init"]


class Cell(enum.Enum):
    """What one position of a carry chain does with its inputs ``a``, ``b``, ``c``, ``d`` and the carry.

    The value is the inputs in use and the two bits that the position adds to the carry: its output is
    ``p ^ q ^ carry`` and the next carry their majority. Inputs that are not in use must be 1.

    ``LINK`` positions end one sum and begin another: the output is the carry out of the positions before, and
    the next carry is ``p``. Functions are written with operators that work on integers 0 and 1 and on one-bit
    Amaranth values alike.
    """

    AND_AND = "abcd", lambda a, b, c, d: (a & b, c & d)
    ADD = "ac", lambda a, b, c, d: (a, c)
    ADD_NOT = "ac", lambda a, b, c, d: (a, 1 ^ c)
    NOT_NOT = "ac", lambda a, b, c, d: (1 ^ a, 1 ^ c)
    ONE_BIT = "a", lambda a, b, c, d: (a, 0)
    ONE_NOT = "a", lambda a, b, c, d: (1 ^ a, 0)
    EMPTY = "", lambda a, b, c, d: (0, 0)
    SELECT = "abcd", lambda a, b, c, d: (a, b & c | (1 ^ b) & d)
    UNLESS = "abd", lambda a, b, c, d: (a, (1 ^ b) & d)
    LINK_ZERO = "", lambda a, b, c, d: (0, 0)
    LINK_ONE = "", lambda a, b, c, d: (1, 0)
    LINK_AND = "ab", lambda a, b, c, d: (a & b, 0)
    LINK_NOT = "a", lambda a, b, c, d: (1 ^ a, 0)

    def __init__(self, inputs, addends):
        self.inputs = inputs
        self.addends = addends

    @property
    def is_link(self) -> bool:
        """Whether the position separates two sums."""
        return self.name.startswith("LINK")


def ecp5_init(cell: Cell) -> int:
    """Return the INIT parameter that makes half a CCU2C compute ``cell``.

    The cell's output is ``LUT4(a, b, c, d) ^ carry`` and the next carry ``carry`` where the LUT4 gives 1, else
    ``LUT2(a, b)``. The LUT2 is the lowest four bits of the LUT4's table, those of ``c = d = 0``: a function fits
    if they can serve both.

    Raises
    ------
    ValueError
        The function of the cell does not fit.
    """
    table = {}

    def need(index, value):
        if table.setdefault(index, value) != value:
            raise ValueError(f"{cell.name} does not fit a CCU2C: bit {index} of its table would have to be 0 and 1")

    for index in range(16):
        bits = {name: index >> position & 1 for position, name in enumerate("abcd")}
        if any(not bits[name] for name in "abcd" if name not in cell.inputs):
            continue
        p, q = cell.addends(**bits)
        propagate = 0 if cell.is_link else p ^ q
        need(index, propagate)
        if not propagate:
            need(index & 3, p)
    return sum(value << index for index, value in table.items())


class CarryChain(wiring.Component):
    """A row of carry cells, least significant first.

    Combinational. Between two links, the outputs are the low bits of the sum of the addends' numbers and the carry
    that the link set; the link after them gives the carry out. A chain must begin with a link, because a carry
    chain of the fabric has no defined carry at its start.

    Parameters
    ----------
    cells : sequence of Cell
        The function of each position.
    fabric : {"generic", "ecp5", "ice40", "gowin"}
        What to build from: CCU2C cells for ECP5, half of one per position; otherwise plain Amaranth adders. (The carry
        logic of iCE40 and Gowin adds its raw inputs: there is nothing to gain over what the synthesizer makes.)

    Members
    -------
    a, b, c, d : In, one bit per position
        Inputs of the cells; 1 where a cell does not use one.
    s : Out, one bit per position
        Outputs of the cells; that of the first is 0.

    Raises
    ------
    ValueError
        ``cells`` does not begin with a link, or ``fabric`` is not known.
    """

    def __init__(self, cells, *, fabric: str = "generic"):
        self.cells = tuple(cells)
        self.fabric = fabric
        if not self.cells or not self.cells[0].is_link:
            raise ValueError("cells must begin with a link")
        check_choice("fabric", fabric, FABRICS)
        n = len(self.cells)
        super().__init__({"a": In(n), "b": In(n), "c": In(n), "d": In(n), "s": Out(n)})

    def elaborate(self, platform):
        """Build adders, one per sum, or the cells of the fabric."""
        return self._ecp5() if self.fabric == "ecp5" else self._generic()

    def _generic(self):
        m = Module()
        links = [n for n, cell in enumerate(self.cells) if cell.is_link]
        m.d.comb += self.s[0].eq(0)
        for link, end in zip(links, [*links[1:], len(self.cells)], strict=True):
            addends = [
                self.cells[n].addends(self.a[n], self.b[n], self.c[n], self.d[n]) for n in range(link, end)
            ]
            total = Cat(p for p, _ in addends[1:]) + Cat(q for _, q in addends[1:]) + addends[0][0]
            outputs = self.s[link + 1:end + 1]  # the last one is the carry that the next link shows
            m.d.comb += outputs.eq(total)
        return m

    def _ecp5(self):
        m = Module()
        carry = None
        for n in range(0, len(self.cells), 2):
            ports = {"p_INJECT1_0": "NO", "p_INJECT1_1": "NO", "p_INIT1": Const(0, 16)}
            for half, cell in enumerate(self.cells[n:n + 2]):
                ports[f"p_INIT{half}"] = Const(ecp5_init(cell), 16)
                for name in cell.inputs:
                    ports[f"i_{name.upper()}{half}"] = getattr(self, name)[n + half]
                for name in "abcd":
                    ports.setdefault(f"i_{name.upper()}{half}", Const(1))
                if n + half > 0:
                    ports[f"o_S{half}"] = self.s[n + half]
            if carry is not None:
                ports["i_CIN"] = carry
            if n + 2 < len(self.cells):
                carry = Signal(name=f"carry_{n + 2}")
                ports["o_COUT"] = carry
            m.submodules[f"cell_{n // 2}"] = Instance("CCU2C", **ports)
        return m
