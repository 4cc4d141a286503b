"""Choose how an array is built, by what each mapping costs on a fabric."""

from dataclasses import replace

from vitric.golden.spec.mac import MacArraySpec

from .heap import best_patience, levels_suffice, next_columns, plan_cost, plan_level
from .packing import OPERAND_BITS, best_packing, product_bits

__all__ = ["array_cost", "choose_mapping", "dsp_cost", "lut_cost"]

_WORTH = 8
"""Logic cells that a multiplier must save to be taken."""


def _cells(heights: list[int], levels: int) -> int:
    columns = [[None] * height for height in heights]
    return plan_cost(columns, levels, best_patience(tuple(heights), levels))[1]


def lut_cost(spec: MacArraySpec, fabric: str) -> int:
    """Return the logic cells of one dot product with ``mapping="lut"``: what its plan counts.

    A position of a carry chain is one cell. The carry cells of ECP5 form the products too; elsewhere each takes a cell
    of its own.
    """
    width, sign = spec.dot_bits, spec.w_bits - 1
    constant = -(spec.depth * spec.a_max << sign)
    heights = [constant >> k & 1 for k in range(width)]
    cells = 0 if fabric == "ecp5" else spec.depth * spec.a_bits * spec.w_bits
    for planes in range(sign), [sign]:
        products = [[] for _ in range(width)]
        for j in planes:
            for i in range(spec.a_bits):
                products[i + j] += [None] * spec.depth
        chains, left = plan_level(products, 2)
        cells += sum(len(chain.pairs) + 1 for chain in chains)
        heights = [height + len(column) for height, column in zip(heights, next_columns(chains, left), strict=True)]
    return cells + _cells(heights, spec.tree_levels - 1)


def dsp_cost(spec: MacArraySpec, fabric: str, cols: int) -> tuple[int, int]:
    """Return the logic cells of the first ``cols`` columns with ``mapping="dsp"``, and the multipliers.

    The cells are those of the chains' plans, one for each field of a multiplier whose sign needs the operands' lowest
    bits, and ``w_bits + 1`` for each weight that must be lowered by the sign of the one below it.
    """
    packing = best_packing(spec, rows=spec.rows, cols=cols, operand_bits=OPERAND_BITS[fabric])
    groups = -(-cols // packing.cols)
    multipliers = -(-spec.rows // packing.rows) * groups * spec.depth
    sign = product_bits(spec) - 1
    constant = -(spec.depth << sign)
    heights = [(constant >> k & 1) + spec.depth * (k <= sign) for k in range(spec.dot_bits)]
    heights[0] += spec.depth - spec.depth // packing.products
    products = spec.rows * cols * spec.depth
    narrow = products - multipliers if packing.step < product_bits(spec) else 0
    lowered = (cols - groups) * spec.depth * (spec.w_bits + 1)
    levels = spec.tree_levels - 2
    levels -= levels_suffice(tuple(heights), levels - 1)
    return spec.rows * cols * _cells(heights, levels) + narrow + lowered, multipliers


def choose_mapping(spec: MacArraySpec, fabric: str) -> MacArraySpec:
    """Return the spec with the mapping that ``"auto"`` stands for on a fabric; other mappings stay.

    As many columns are built from multipliers as ``spec.multipliers`` allows, if each multiplier saves 8 logic cells
    or more: ``"lut"`` for none, ``"dsp"`` for all, ``"mixed"`` in between. ``"generic"`` costs more than ``"lut"``
    throughout.
    """
    if spec.mapping != "auto":
        return spec
    lut = spec.rows * lut_cost(spec, fabric)
    options = [(spec.cols * lut, 0)]
    for cols in range(1, spec.cols + 1):
        dsp, multipliers = dsp_cost(spec, fabric, cols)
        if multipliers <= spec.multipliers:
            options.append((dsp + _WORTH * multipliers + (spec.cols - cols) * lut, cols))
    _, cols = min(options)
    mapping = "dsp" if cols == spec.cols else "mixed" if cols else "lut"
    return replace(spec, mapping=mapping, multipliers=0, dsp_cols=cols if mapping == "mixed" else None)


def array_cost(spec: MacArraySpec, fabric: str) -> tuple[int, int]:
    """Return the logic cells of a whole array's products and sums as its mapping is chosen, and the multipliers.

    ``"generic"`` is counted as ``"lut"``, although it costs more.
    """
    chosen = choose_mapping(spec, fabric)
    cols = {"dsp": chosen.cols, "mixed": chosen.dsp_cols}.get(chosen.mapping, 0)
    cells, multipliers = dsp_cost(chosen, fabric, cols) if cols else (0, 0)
    if cols < chosen.cols:
        cells += chosen.rows * (chosen.cols - cols) * lut_cost(chosen, fabric)
    return cells, multipliers
