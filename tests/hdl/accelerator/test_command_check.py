"""The checks of the hardware against those of software, on fields at and beyond the limits."""

import random
from dataclasses import replace

import pytest
from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator
from vitric.compiler.check import StreamError, check_command
from vitric.golden.spec.command import FIELD_BITS, SIGNED_FIELDS, Flag, Opcode, Target, pack_pass
from vitric.golden.spec.limits import field_limits
from vitric.hdl.accelerator.command_check import is_malformed, is_too_large
from vitric.hdl.accelerator.layouts import COMMAND, exceeds

from tests.hdl.accelerator.kit import SPECS, command, name


class Check(wiring.Component):
    def __init__(self, spec):
        self.spec = spec
        super().__init__({"command": In(COMMAND), "index": In(FIELD_BITS), "commands": In(FIELD_BITS),
                          "has_table": In(1), "malformed": Out(1), "too_large": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [
            self.malformed.eq(is_malformed(self.command, self.index, self.commands, self.has_table, self.spec)),
            self.too_large.eq(is_too_large(self.command, self.spec)),
        ]
        return m


def simulate(dut, testbench):
    sim = Simulator(dut)
    sim.add_testbench(testbench)
    sim.run()


def legal_command(rng, spec, index):
    """Fields that both accept."""
    opcode = rng.choice([Opcode.LOAD, Opcode.INPUT, Opcode.NORM, Opcode.MATMUL, Opcode.MATMUL])
    tiles, planes, k_words = rng.randint(1, 2), rng.randint(1, 2), rng.randint(1, 3)
    fields = command(opcode=opcode, index=index, groups=1, columns=tiles * spec.cols, row_tiles=tiles)
    if opcode == Opcode.MATMUL:
        target = rng.choice(list(Target))
        last = pack_pass(a_plane=0, w_plane=0, shift=0, last=True)
        fields |= {
            "opcode": opcode | target << 8, "sets": 1, "set_tiles": tiles, "k_words": k_words,
            "tile_words": planes * k_words, "set_words": tiles * planes * k_words,
            "flags": rng.choice([0, Flag.WEIGHTS_ACT, Flag.WEIGHTS_ACT | Flag.KEY_BIAS]) | rng.choice([0, Flag.WHOLE]),
            "low": rng.choice([-7, 0, 5]), "high": rng.choice([5, 255]),
            "passes01": last if planes == 1 else pack_pass(a_plane=0, w_plane=1, shift=0, last=False) | last << 8,
        }
        if target in (Target.CODES, Target.SOFTMAX):
            fields["flags"] |= rng.choice([0, Flag.TABLE, Flag.TABLE | Flag.NEW_TABLE])
    return fields


def changed_command(rng, spec, fields):
    """One field, or none, at or beyond a limit."""
    opcode = Opcode(fields["opcode"] & 0xFF)
    limits = field_limits(spec, opcode) | field_limits(spec, opcode, Target(fields["opcode"] >> 8))
    changed = rng.choice([*limits, "index", "a_wait", "w_wait", "opcode", "flags", "passes01", "columns", "row_tiles",
                          "low", "high", "planes"])
    if changed == "planes":
        return fields | {"flags": fields["flags"] | rng.randrange(4) << 8}
    value, limit = fields[changed], limits.get(changed, spec.cols)
    if changed in SIGNED_FIELDS:
        return fields | {changed: rng.choice([fields["low"], fields["high"]]) + rng.choice([-1, 0, 1, 300, -300])}
    return fields | {changed: rng.choice([value, value + 1, value - 1, 0, limit, limit + 1, 0x8000, 0xFFFF]) & 0xFFFF}


@pytest.mark.parametrize("spec", SPECS[:3], ids=name)  # how many columns leave per cycle limits nothing
def test_hardware_and_software_refuse_the_same(spec):
    rng, dut, verdicts = random.Random(spec.name), Check(spec), set()

    async def testbench(ctx):
        for _ in range(1500):
            index, has_table = rng.randint(1, 9), rng.random() < 0.5
            fields = changed_command(rng, spec, legal_command(rng, spec, index))
            if fields["opcode"] & 0xFF == Opcode.END:
                continue
            for signal, value in ((dut.command, fields), (dut.index, index), (dut.commands, 10),
                                  (dut.has_table, has_table)):
                ctx.set(signal, value)
            verdict = ctx.get(Cat(dut.malformed, dut.too_large))
            try:
                check_command(fields, index, spec, has_table=has_table)
                accepted = True
            except StreamError as error:
                # the array sees it while it runs
                accepted = "inconsistent sizes" in str(error) and fields["tile_words"] % fields["k_words"] == 0
                accepted = accepted and verdict == 0
            assert accepted == (verdict == 0), fields
            verdicts.add(verdict)

    simulate(dut, testbench)
    assert verdicts >= {0, 1, 2}


@pytest.mark.parametrize(("kind", "most"), [(Target.SOFTMAX, 1), (Target.LOGITS, 8)])
def test_most_weight_sets(kind, most):
    """Scores of a row come one after the other, so all its keys are one set; of logits there is room for 16."""
    spec = replace(SPECS[0], max_classes=16)
    dut, fields = Check(spec), legal_command(random.Random(1), spec, 1)

    async def testbench(ctx):
        for sets in range(1, 12):
            command_fields = fields | {"opcode": Opcode.MATMUL | kind << 8, "sets": sets}
            ctx.set(dut.command, command_fields)
            assert ctx.get(dut.too_large) == (sets > most)

    simulate(dut, testbench)


class Exceeds(wiring.Component):
    value: In(4)
    out: Out(32)

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.out.eq(Cat(exceeds(self.value, limit) for limit in range(32)))
        return m


def test_exceeds():
    """Every number of 4 bits against every limit, those beyond 4 bits included."""
    dut = Exceeds()

    async def testbench(ctx):
        for number in range(16):
            ctx.set(dut.value, number)
            assert ctx.get(dut.out) == sum((number > limit) << limit for limit in range(32))

    simulate(dut, testbench)
