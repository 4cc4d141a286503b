"""What the machine in software refuses: a test that trusts it must know that it sees a missing wait."""

from dataclasses import replace

import pytest
from vitric.compiler.compile import compile_model
from vitric.golden.integer.random import random_integer_vit
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.spec.command import Flag, Opcode, Target
from vitric.golden.spec.vit import VIT_CONFIGS

from tests.compiler.machine import Machine
from tests.compiler.test_compile import random_images

SPEC = SPECS["tiny"]
MODEL = random_integer_vit(VIT_CONFIGS["tiny"], seed=1, spec=SPEC)
COMPILED = compile_model(MODEL, SPEC)
COMMANDS = COMPILED.stream.commands()
COLUMNS = COMPILED.input_words(random_images(MODEL.config, 1))[0]
PRODUCT = next(c for c in COMMANDS if c.opcode is Opcode.MATMUL and c.target is Target.CODES and c.fields["groups"] > 1)


def run(**changes):
    """Run the stream with other fields in one product whose operand another command writes row group by row group."""
    Machine(SPEC).run([replace(c, fields={**c.fields, **changes}) if c is PRODUCT else c for c in COMMANDS], COLUMNS)


def test_a_product_reads_the_row_group_that_it_waited_for_and_no_later_one():
    assert PRODUCT.fields["groups"] > 1 and not PRODUCT.flags & Flag.WHOLE
    fields = PRODUCT.fields
    later = {"a_base": fields["a_base"] + fields["a_group_stride"], "groups": fields["groups"] - 1}
    run(groups=fields["groups"] - 1)
    with pytest.raises(AssertionError, match="not waited for"):
        run(**later)
    run(**later, flags=fields["flags"] | Flag.WHOLE)


def test_another_commands_row_group_is_not_waited_for():
    with pytest.raises(AssertionError, match="not waited for"):
        run(a_wait=PRODUCT.fields["a_wait"] - 1)
