import pytest
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.spec.command import COMMAND_FIELDS, Opcode, Target
from vitric.golden.spec.limits import field_bits, field_limits

TINY = SPECS["tiny"]  # 2 x 2 x 4, 8 tokens, 32 channels, 16 classes; memories of 512, 128, 128 and 128 words


@pytest.mark.parametrize("opcode,target,limits", [
    (Opcode.END, None, {}),
    (Opcode.LOAD, None, {"groups": 4, "columns": 128}),
    (Opcode.INPUT, None, {"groups": 4, "row_tiles": 1024, "code_high": 255}),
    (Opcode.NORM, None, {"groups": 4, "row_tiles": 1024, "code_high": 255, "columns": 32}),
    (Opcode.MATMUL, None, {"groups": 4, "row_tiles": 1024, "code_high": 255, "k_words": 128, "tile_words": 128,
                           "set_words": 128, "set_tiles": 64}),
    (Opcode.MATMUL, Target.CODES, {"sets": 1024}),
    (Opcode.MATMUL, Target.SOFTMAX, {"sets": 1, "columns": 8}),
    (Opcode.MATMUL, Target.RESIDUAL, {"sets": 64}),
    (Opcode.MATMUL, Target.LOGITS, {"sets": 8, "dst_stride": 16}),
])
def test_by_hand(opcode, target, limits):
    assert field_limits(TINY, opcode, target) == limits
    assert limits.keys() <= set(COMMAND_FIELDS)


@pytest.mark.parametrize(("name", "opcodes", "bits"), [
    ("groups", (Opcode.LOAD,), 3), ("columns", (Opcode.LOAD,), 8), ("columns", (Opcode.NORM,), 6),
    ("columns", (Opcode.LOAD, Opcode.NORM), 8), ("columns", (Opcode.NORM, Opcode.INPUT), 16),
    ("columns", (Opcode.MATMUL,), 8), ("sets", (Opcode.MATMUL,), 11), ("dst_stride", (Opcode.MATMUL,), 16),
    ("k_words", (Opcode.MATMUL,), 8), ("a_base", (Opcode.MATMUL,), 16),
])
def test_bits_by_hand(name, opcodes, bits):
    """As many as the largest legal value has in any of the commands: 128 has 8, 1024 has 11."""
    assert field_bits(TINY, name, *opcodes) == bits
