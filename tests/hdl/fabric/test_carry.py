# amaranth: UnusedElaboratable=no
import random
from types import SimpleNamespace

import pytest
from amaranth.hdl import Fragment, Instance
from amaranth.sim import Simulator
from vitric.hdl.fabric.carry import CarryChain, Cell, ecp5_init

from tests.hdl.equivalence import prove_equal

LINKS = [cell for cell in Cell if cell.is_link]
ADDERS = [cell for cell in Cell if not cell.is_link]

# every adder behind and before every other kind of position, and an odd number of positions
EVERY_CELL = [
    position
    for n, link in enumerate(LINKS)
    for position in (link, *ADDERS[n:], *ADDERS[:n])
] + [Cell.LINK_ZERO]


def proof(cells, folder, spoil=lambda text: text):
    """Of a chain of these cells against its twin, any first carry."""
    return prove_equal(CarryChain(cells), CarryChain(cells, fabric="ecp5"), folder, spoil)


@pytest.mark.parametrize(
    ("cell", "bits"),
    [
        (Cell.AND_AND, 0x7888), (Cell.LINK_AND, 0x0008),
        (Cell.EMPTY, 0x0000), (Cell.LINK_ZERO, 0x0000), (Cell.LINK_ONE, 0x0008),
    ],
)
def test_init_by_hand(cell, bits):
    assert ecp5_init(cell) == bits


def test_init_that_does_not_fit():
    both_complemented = SimpleNamespace(
        name="NAND_NAND", inputs="abcd", is_link=False, addends=lambda a, b, c, d: (1 ^ a & b, 1 ^ c & d))
    with pytest.raises(ValueError, match="NAND_NAND does not fit a CCU2C"):
        ecp5_init(both_complemented)


def test_cells_equal_their_twins(tmp_path):
    done = proof(EVERY_CELL, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_proof_finds_a_wrong_table(tmp_path):
    cells = [Cell.LINK_AND, Cell.AND_AND, Cell.LINK_ZERO]
    done = proof(cells, tmp_path, lambda text: text.replace("7888", "7880"))
    assert done.returncode != 0 and "proof did fail" in done.stdout + done.stderr


def test_twin_adds():
    rng = random.Random(1)
    dut = CarryChain(EVERY_CELL)
    n = len(EVERY_CELL)

    async def bench(ctx):
        for _ in range(200):
            inputs = [
                {name: rng.getrandbits(1) if name in cell.inputs else 1 for name in "abcd"} for cell in EVERY_CELL
            ]
            for name in "abcd":
                ctx.set(getattr(dut, name), sum(bits[name] << k for k, bits in enumerate(inputs)))
            outputs = ctx.get(dut.s)
            starts = [k for k, cell in enumerate(EVERY_CELL) if cell.is_link]
            for start, end in zip(starts, starts[1:], strict=False):
                total = sum(
                    sum(EVERY_CELL[k].addends(**inputs[k])) << max(k - start - 1, 0) for k in range(start, end))
                assert outputs >> start + 1 & (1 << end - start) - 1 == total
            assert outputs & 1 == 0 and outputs >> n == 0

    sim = Simulator(dut)
    sim.add_testbench(bench)
    sim.run()


def test_fabric_uses_half_a_cell_per_position():
    fragment = Fragment.get(CarryChain([Cell.LINK_ZERO, *[Cell.ADD] * 4], fabric="ecp5"), None)
    cells = [sub for sub, *_ in fragment.subfragments if isinstance(sub, Instance)]
    assert [cell.type for cell in cells] == ["CCU2C"] * 3


@pytest.mark.parametrize("cells", [[], [Cell.ADD, Cell.LINK_ZERO]])
def test_chain_must_begin_with_a_link(cells):
    with pytest.raises(ValueError, match="begin with a link"):
        CarryChain(cells)


def test_unknown_fabric():
    with pytest.raises(ValueError, match="fabric must be one of 'generic', 'ecp5', 'ice40', 'gowin', not 'nexus'"):
        CarryChain([Cell.LINK_ZERO], fabric="nexus")
