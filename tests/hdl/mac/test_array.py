# amaranth: UnusedElaboratable=no
import itertools
import random

import pytest
import torch
from amaranth.hdl import Fragment, Instance
from vitric.golden.arith import nearest_signed_code, split_signed, split_unsigned
from vitric.golden.integer.mac import mac_array
from vitric.golden.spec.mac import MacArraySpec
from vitric.hdl.mac.array import MacArray
from vitric.hdl.mac.choice import choose_mapping
from vitric.hdl.mac.dsp import DspTile
from vitric.hdl.mac.heap import best_patience, fewest_bits, levels_suffice, next_columns, plan_level
from vitric.hdl.mac.packing import product_bits

from tests.hdl.stream_kit import STALLS, interval, latency, run, send, transform

# each in its own structure, as it is synthesized, but of plain adders
MAPPINGS = ("generic", "lut", "dsp")
TOGETHER = ("generic", "mixed")  # mixed has both structures


def spec(**changes):
    parameters = {"rows": 1, "cols": 1, "depth": 1, "a_bits": 4, "w_bits": 4, "acc_bits": 40} | changes
    if parameters.get("mapping") == "mixed":
        parameters["dsp_cols"] = (parameters["cols"] + 1) // 2
    return MacArraySpec(**parameters)


def beats(a, w, first, last, shift):
    """Return the payloads of beats given as tensors."""
    names = "a", "w", "first", "last", "shift"
    columns = (tensor.tolist() for tensor in (a, w, first, last, shift))
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def check(array, operands, **options):
    """Send the beats through the array and compare with golden; return the checkers."""
    expected = [{"acc": acc} for acc in mac_array(array, *operands).tolist()]
    outputs, checkers = transform(MacArray(array, fabric="generic"), beats(*operands), outputs=len(expected), **options)
    assert outputs == expected
    return checkers


def random_operands(array, count, seed):
    """Return operands with a share of extremes, accumulations of at most four beats, and some odd ends.

    Some accumulations emit more than once, some are given up without a result.
    """
    generator = torch.Generator().manual_seed(seed)
    rng = random.Random(seed)

    def integers(low, high, *shape):
        values = torch.randint(low, high + 1, shape, generator=generator)
        kind = torch.randint(0, 8, (count,) + (1,) * (len(shape) - 1), generator=generator)
        return torch.where(kind == 0, low, torch.where(kind == 1, high, values))

    first, run_length = [1], 1
    for _ in range(count - 1):
        first.append(int(run_length == 4 or rng.random() < 0.3))
        run_length = 1 if first[-1] else run_length + 1
    return (
        integers(0, array.a_max, count, array.rows, array.depth),
        integers(-array.w_max, array.w_max, count, array.cols, array.depth),
        torch.tensor(first),
        torch.tensor([int(rng.random() < 0.5) for _ in range(count - 1)] + [1]),
        torch.tensor([rng.randrange(len(array.shifts)) for _ in range(count)]),
    )


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize(("a_bits", "w_bits"), list(itertools.product(range(2, 9), range(2, 9))))
def test_every_pair_of_widths(a_bits, w_bits, mapping):
    size = {"rows": 2, "cols": 2} if mapping == "dsp" else {}  # so that products share multipliers
    depth = 1 + (a_bits + w_bits) % 3
    array = spec(depth=depth, a_bits=a_bits, w_bits=w_bits, shifts=(0, a_bits), mapping=mapping, **size)
    check(array, random_operands(array, 60, a_bits * 8 + w_bits))


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize(("depth", "a_bits", "w_bits"), [(1, 4, 4), (1, 2, 5), (1, 5, 2), (2, 2, 2), (1, 3, 3)])
def test_every_operand(depth, a_bits, w_bits, mapping):
    array = spec(depth=depth, a_bits=a_bits, w_bits=w_bits, mapping=mapping)
    a = list(itertools.product(range(array.a_max + 1), repeat=depth))
    w = list(itertools.product(range(-array.w_max, array.w_max + 1), repeat=depth))
    pairs = list(itertools.product(a, w))
    ones = torch.ones(len(pairs), dtype=torch.int64)
    operands = torch.tensor([[x] for x, _ in pairs]), torch.tensor([[y] for _, y in pairs]), ones, ones, ones * 0
    check(array, operands)


SHAPES = [  # rows, cols, depth, a_bits, w_bits, shifts
    (3, 2, 5, 4, 4, (0, 4)), (1, 4, 7, 3, 5, (0,)), (2, 2, 16, 4, 4, (0, 4)), (2, 3, 11, 2, 2, (0, 1, 2)),
    (4, 1, 3, 8, 8, (0, 2, 3, 5)), (1, 1, 33, 4, 3, (0, 4)), (2, 1, 1, 6, 7, (0, 6)), (8, 3, 2, 2, 2, (0,)),
    (6, 5, 2, 3, 3, (0, 3)),
]


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(shape, mapping):
    names = "rows", "cols", "depth", "a_bits", "w_bits", "shifts"
    array = spec(**dict(zip(names, shape, strict=True)), mapping=mapping)
    checkers = check(array, random_operands(array, 80, sum(shape[:5])))
    assert interval(checkers["i"]) == array.interval


@pytest.mark.parametrize("mapping", TOGETHER)
@pytest.mark.parametrize("send_stall", STALLS)
@pytest.mark.parametrize("receive_stall", STALLS)
def test_stalls(send_stall, receive_stall, mapping):
    array = spec(rows=2, cols=2, depth=3, mapping=mapping)
    seed = STALLS.index(send_stall) * 3 + STALLS.index(receive_stall)
    operands = random_operands(array, 120, seed)
    checkers = check(array, operands, send_stall=send_stall, receive_stall=receive_stall, seed=seed)
    assert len(checkers["i"].transfers) == 120


@pytest.mark.parametrize("mapping", TOGETHER)
def test_planes(mapping):
    """8-bit operands on a 4-bit array: four passes of nibbles, most significant pair first."""
    torch.manual_seed(3)
    array = spec(rows=2, cols=3, depth=4, acc_bits=22, mapping=mapping)
    a = torch.randint(0, 256, (2, 12))
    w = nearest_signed_code(torch.randint(-119, 120, (3, 12)), 4, 2)
    (low_a, high_a), (low_w, high_w) = split_unsigned(a, 4, 2), split_signed(w, 4, 2)
    payloads = []
    for x, y, shift in (high_a, high_w, 0), (high_a, low_w, 1), (low_a, high_w, 0), (low_a, low_w, 1):
        for k in range(0, 12, 4):
            payloads.append({
                "a": x[:, k:k + 4].tolist(), "w": y[:, k:k + 4].tolist(), "first": int(not payloads),
                "last": int(len(payloads) == 11), "shift": shift if k == 0 else 0,
            })
    outputs, _ = transform(MacArray(array, fabric="generic"), payloads, outputs=1)
    assert outputs == [{"acc": (a @ w.T).tolist()}]


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize(("depth", "w_bits"), [(1, 2), (1, 3), (4, 4), (5, 3), (16, 8)])
def test_latency_and_interval(depth, w_bits, mapping):
    array = spec(depth=depth, w_bits=w_bits, mapping=mapping)
    a, w, first, last, shift = random_operands(array, 20, depth)
    checkers = check(array, (a, w, first | 1, last | 1, shift))
    dut = MacArray(array, fabric="generic")
    assert latency(checkers["i"], checkers["o"]) == array.latency == dut.latency
    assert interval(checkers["i"]) == interval(checkers["o"]) == array.interval == dut.interval == 1


def test_waiting_result_does_not_stop_the_next():
    array = spec()
    dut = MacArray(array, fabric="generic")
    first_of_two = {"a": [[2]], "w": [[3]], "first": 1, "last": 1, "shift": 0}
    body = [{"a": [[1]], "w": [[1]], "first": int(n == 0), "last": int(n == 29), "shift": 0} for n in range(30)]
    taken = []

    async def sender(ctx):
        await send(ctx, dut.i, [first_of_two, *body])
        ctx.set(dut.i.valid, 1)  # one beat more keeps offering, to see that the array does stop in the end
        for _ in range(3 * array.latency):
            await ctx.tick()
        assert not ctx.get(dut.i.ready)
        assert ctx.get(dut.o.payload.acc[0][0]) == 6
        for _ in range(2):
            ctx.set(dut.o.ready, 1)
            _, _, valid, acc = await ctx.tick().sample(dut.o.valid, dut.o.payload.acc[0][0])
            taken.append((valid, acc))

    checkers = run(dut, sender)
    assert interval(checkers["i"]) == 1 or checkers["i"].transfers[:31] == list(range(31))
    assert taken == [(1, 6), (1, 30)]


def has_chain(fragment):
    return any(name == "chain" or has_chain(sub) for sub, name, _ in fragment.subfragments)


@pytest.mark.parametrize(("fabric", "chains"), [(None, False), ("generic", True), ("ecp5", True)])
@pytest.mark.parametrize("mapping", ["lut", "dsp"])
def test_simulation_does_not_build_the_mapping(fabric, chains, mapping):
    assert has_chain(Fragment.get(MacArray(spec(mapping=mapping), fabric=fabric), None)) == chains


def cells_of(fragment, kind):
    if isinstance(fragment, Instance):
        return int(fragment.type == kind)
    return sum(cells_of(sub, kind) for sub, *_ in fragment.subfragments)


@pytest.mark.parametrize(("changes", "multipliers"), [
    ({}, 4), ({"rows": 3}, 8), ({"cols": 3}, 8), ({"mapping": "mixed", "cols": 3}, 4), ({"mapping": "lut"}, 0),
    ({"a_bits": 8, "w_bits": 8}, 16), ({"a_bits": 2, "w_bits": 2, "rows": 8}, 4), ({"a_bits": 5, "w_bits": 5}, 8),
])
def test_multipliers(changes, multipliers):
    array = spec(**{"rows": 2, "cols": 2, "depth": 4, "mapping": "dsp"} | changes)
    assert cells_of(Fragment.get(MacArray(array, fabric="ecp5"), None), "MULT18X18D") == multipliers


@pytest.mark.parametrize(("changes", "fabric", "mapping", "dsp_cols"), [
    ({}, "ecp5", "lut", None),
    ({"multipliers": 64}, "ecp5", "dsp", None),
    ({"multipliers": 63}, "ecp5", "mixed", 2),
    ({"multipliers": 31}, "ecp5", "lut", None),
    ({"multipliers": 64}, "gowin", "dsp", None),
    ({"multipliers": 64, "a_bits": 2, "w_bits": 2}, "ecp5", "lut", None),  # multipliers hardly save anything
    ({"mapping": "generic"}, "ecp5", "generic", None),
])
def test_automatic_choice(changes, fabric, mapping, dsp_cols):
    chosen = choose_mapping(spec(**{"rows": 4, "cols": 4, "depth": 16, "mapping": "auto"} | changes), fabric)
    assert (chosen.mapping, chosen.dsp_cols) == (mapping, dsp_cols)


def test_automatic_choice_is_built():
    array = spec(rows=2, cols=3, depth=4, mapping="auto", multipliers=4)
    fragment = Fragment.get(MacArray(array, fabric="ecp5"), None)
    assert cells_of(fragment, "MULT18X18D") == 4
    [block] = (sub for sub, name, _ in fragment.subfragments if name == "block_0_0")
    names = {name for _, name, _ in block.subfragments}
    assert {"dsp", "dot_0_2", "dot_1_2"} <= names and "dot_0_1" not in names


def test_unknown_fabric_of_multipliers():
    with pytest.raises(ValueError, match="fabric of the dsp mapping must be one of 'generic', 'ecp5'.*, not 'nexus'"):
        DspTile(spec(), rows=2, cols=2, fabric="nexus")


def test_unknown_fabric():
    with pytest.raises(ValueError, match="must be one of None, 'generic', 'ecp5', 'ice40', 'gowin', not 'nexus'"):
        MacArray(spec(), fabric="nexus")


def chain_outputs(chain):
    """Return the value of a chain's sum over columns of integers 0 and 1, as bits by column."""
    total = chain.carry_in or 0
    for n, (x, y) in enumerate(chain.pairs):
        total += (x or 0) + (y or 0) << n
    return [total >> n & 1 for n in range(len(chain.pairs) + chain.carry_out)]


def test_plan_keeps_the_sum():
    rng = random.Random(4)
    for _ in range(200):
        width = rng.randint(1, 9)
        columns = [[rng.getrandbits(1) for _ in range(rng.randint(0, 12))] for _ in range(width)]
        total = sum(sum(column) << k for k, column in enumerate(columns)) % (1 << width)
        patience = best_patience(tuple(map(len, columns)), 6)
        for _ in range(6):
            chains, columns = plan_level(columns, fewest_bits(columns), patience)
            for chain in chains:
                for n, bit in enumerate(chain_outputs(chain)):
                    columns[chain.start + n].append(bit)
        assert all(len(column) <= 1 for column in columns)
        assert sum(sum(column) << k for k, column in enumerate(columns)) == total


def lut_heap(array):
    """Return the columns of the heap behind the first level of the lut mapping."""
    width, sign = array.dot_bits, array.w_bits - 1
    constant = -(array.depth * array.a_max << sign)
    columns = [[0] * (constant >> k & 1) for k in range(width)]
    for planes in range(sign), [sign]:
        products = [[] for _ in range(width)]
        for j, i in itertools.product(planes, range(array.a_bits)):
            products[i + j] += [0] * array.depth
        for column, bits in zip(columns, next_columns(*plan_level(products, 2)), strict=True):
            column += bits
    return columns


def dsp_heap(array):
    """Return the columns of the heap of the dsp mapping, if each product but one needs its correction."""
    sign = product_bits(array) - 1
    constant = -(array.depth << sign)
    columns = [[0] * ((constant >> k & 1) + array.depth * (k <= sign)) for k in range(array.dot_bits)]
    columns[0] += [0] * array.depth
    return columns


@pytest.mark.parametrize("depth", [*range(1, 18), 23, 31, 32, 33, 48, 64])
def test_latency_suffices_for_every_heap(depth):
    for a_bits, w_bits in itertools.product(range(2, 9), range(2, 9)):
        array = spec(depth=depth, a_bits=a_bits, w_bits=w_bits)
        for columns, levels in (lut_heap(array), array.tree_levels - 1), (dsp_heap(array), array.tree_levels - 2):
            assert levels_suffice(tuple(map(len, columns)), levels), (a_bits, w_bits)


def test_heap_that_needs_more_levels():
    with pytest.raises(ValueError, match="a heap of 5 rows does not come down to one in 2 levels"):
        best_patience((5, 5), 2)
