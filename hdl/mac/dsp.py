"""Dot products from packed multipliers, decoded by the carry chains that add them up."""

from amaranth.hdl import Cat, Const, Module, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.check import check_choice
from vitric.golden.spec.mac import MacArraySpec

from ..fabric.multiply import RegisteredProduct
from .heap import levels_suffice
from .packing import OPERAND_BITS, Packing, best_packing, product_bits
from .rows import Bit, HeapAdder

__all__ = ["DspTile"]

_REGISTERS = 128
"""How many bits of products one copy of the enable registers."""


class DspTile(wiring.Component):
    """Dot products of some rows with some columns, as many products in each multiplier as fit exactly.

    For each term of the dot products, a multiplier takes the activations of some rows packed in one operand and the
    weights of some columns in the other, see :class:`~vitric.hdl.mac.packing.Packing`. What decoding a product takes
    is left to the heap of bits of its dot product: the bits of its field, its sign bit complemented, and a one where
    the fields below it borrowed. Most of these ones are the free carry in of a chain. The first field of a multiplier
    has no such one; the slots rotate from term to term, so that every dot product gets its share of first fields.

    *Latency* ``spec.tree_levels`` enabled cycles. The multiplier's registers are 2 of them. The wires from the columns
    of multipliers are long: where the heaps leave a level, it is a register between multiplier and heap, which is
    always but for depths 1 to 4 and, by packing, some of 7, 8, 13 to 15 and 25 to 30.

    Parameters
    ----------
    spec : MacArraySpec
        Depth and widths.
    rows, cols : int
        Size of the tile.
    fabric : one of ``OPERAND_BITS``
        See :class:`~vitric.hdl.fabric.carry.CarryChain` and
        :class:`~vitric.hdl.fabric.multiply.RegisteredProduct`.

    Members
    -------
    a : In, ``rows`` x ``depth`` unsigned ``a_bits``
    w : In, ``cols`` x ``depth`` signed ``w_bits``
        Registered operands.
    en : In, 1 for each row and then 1 for each ``multipliers_per_enable`` multipliers
        Every register advances; all bits must be equal. Each drives the sums of a row or some multipliers.
    dot : Out, ``rows`` x ``cols`` signed ``dot_bits``

    Raises
    ------
    ValueError
        The multipliers of the fabric cannot be used.
    """

    def __init__(self, spec: MacArraySpec, *, rows: int, cols: int, fabric: str = "generic"):
        check_choice("fabric of the dsp mapping", fabric, tuple(OPERAND_BITS))
        self.spec = spec
        self.rows = rows
        self.cols = cols
        self.fabric = fabric
        self.packing = best_packing(spec, rows=rows, cols=cols, operand_bits=OPERAND_BITS[fabric])
        super().__init__({
            "a": In(data.ArrayLayout(data.ArrayLayout(unsigned(spec.a_bits), spec.depth), rows)),
            "w": In(data.ArrayLayout(data.ArrayLayout(signed(spec.w_bits), spec.depth), cols)),
            "en": In(rows + -(-self.multipliers // self.multipliers_per_enable)),
            "dot": Out(data.ArrayLayout(data.ArrayLayout(signed(spec.dot_bits), cols), rows)),
        })

    @property
    def multipliers(self) -> int:
        """How many multipliers the tile takes."""
        packing = self.packing
        return -(-self.rows // packing.rows) * -(-self.cols // packing.cols) * self.spec.depth

    @property
    def multipliers_per_enable(self) -> int:
        """How many multipliers one bit of ``en`` drives."""
        return max(1, _REGISTERS // (self.packing.products * product_bits(self.spec)))

    def elaborate(self, platform):
        """Build the multipliers of each block of the packing, and one heap of bits for each row and column."""
        spec, packing = self.spec, self.packing
        m = Module()
        adders = [HeapAdder(m, en=en, width=spec.dot_bits, fabric=self.fabric) for en in self.en]
        adders, behind = adders[:self.rows], adders[self.rows:]
        low_bits = self._low_bits(adders)
        blocks = [
            (d, range(row, min(row + packing.rows, self.rows)), range(col, min(col + packing.cols, self.cols)))
            for row in range(0, self.rows, packing.rows)
            for col in range(0, self.cols, packing.cols)
            for d in range(spec.depth)
        ]
        products = [
            self._multiply(m, self.en[self.rows + n // self.multipliers_per_enable], *block, low_bits)
            for n, block in enumerate(blocks)
        ]
        constant = -(spec.depth << product_bits(spec) - 1)
        heaps = {
            (r, c): [[Bit(Const(1), False)] if constant >> k & 1 else [] for k in range(spec.dot_bits)]
            for r in range(self.rows) for c in range(self.cols)
        }
        levels = spec.tree_levels - 2
        heights = {key: [len(column) for column in heap] for key, heap in heaps.items()}
        for _, places in products:
            for key, column, _, _ in places:
                heights[key][column] += 1
        spare = all(levels_suffice(tuple(height), levels - 1) for height in heights.values())
        for n, (bits, places) in enumerate(products):
            source = behind[n // self.multipliers_per_enable].register(bits, f"product_{n}") if spare else bits
            for key, column, index, inverted in places:
                heaps[key][column].append(Bit(source[index], inverted))
        for (r, c), heap in heaps.items():
            m.d.comb += self.dot[r][c].eq(adders[r].total(f"dot_{r}_{c}", heap, levels - spare))
        return m

    def _low_bits(self, adders):
        """Return the lowest bits of the activations, ``[r][d]``, and of the weights, as late as the products.

        Only packings with narrow fields need them; the synthesizer drops the others.
        """
        def late(adder, terms, name):
            return adder.register(adder.register(Cat(term[0] for term in terms), f"low_{name}_early"), f"low_{name}")

        return (
            [late(adder, terms, f"a_{r}") for r, (adder, terms) in enumerate(zip(adders, self.a, strict=True))],
            [late(adders[0], terms, f"w_{c}") for c, terms in enumerate(self.w)],
        )

    def _multiply(self, m, en, d, rows, cols, low_bits):
        """Multiply term ``d`` of ``rows`` with that of ``cols``.

        Returns the bits of the products and where they count: row and column of the dot product, column of its heap,
        index of the bit, and whether it counts complemented.
        """
        spec = self.spec
        block = Packing(len(rows), len(cols), self.packing.step, self.packing.rows_inside)
        rows = [rows[(slot + d) % block.rows] for slot in range(block.rows)]
        cols = [cols[(slot + d // block.rows) % block.cols] for slot in range(block.cols)]
        a_packed = _pack_activations([self.a[r][d] for r in rows], block)
        w_packed = _pack_weights([self.w[c][d] for c in cols], block)
        multiplier = RegisteredProduct(len(a_packed), signed(len(w_packed)), fabric=self.fabric)
        m.submodules[f"multiplier_{d}_{min(rows)}_{min(cols)}"] = multiplier
        m.d.comb += [multiplier.a.eq(a_packed), multiplier.b.eq(w_packed), multiplier.en.eq(en)]

        low_a, low_w = low_bits
        sign = product_bits(spec) - 1
        bits, places = [], []
        for field in range(block.products):
            r_slot, c_slot = block.slots(field)
            key = rows[r_slot], cols[c_slot]
            start = field * block.step
            if field:
                places.append((key, 0, len(bits) - 1, False))  # the field below borrowed
            places += [(key, k, len(bits) + k, k == sign) for k in range(sign + 1)]
            negative = multiplier.p[start + sign]
            if block.step == sign and field < block.products - 1:
                r_slot, c_slot = block.slots(field + 1)
                negative ^= low_a[rows[r_slot]][d] & low_w[cols[c_slot]][d]
            bits += [*multiplier.p[start:start + sign], negative]
        return Cat(bits), places


def _pack_activations(activations, packing):
    """Return the unsigned number with each activation at its slot's position."""
    packed = Cat()
    for slot, activation in enumerate(activations):
        packed = Cat(packed, Const(0, packing.a_position(slot) - len(packed)), activation)
    return packed


def _pack_weights(weights, packing):
    """Return the bits of the signed number that is the sum of the weights shifted to their slots' positions.

    Each weight above a negative one is one less, and its sign fills up to the next.
    """
    packed, negative = Cat(), Const(0, 1)
    for slot, weight in enumerate(weights):
        packed = Cat(packed, negative.replicate(packing.w_position(slot) - len(packed)))
        borrow, digit = negative, []
        for bit in weight:
            digit.append(bit ^ borrow)
            borrow = digit[-1] & ~bit
        packed, negative = Cat(packed, *digit), digit[-1]
    return packed
