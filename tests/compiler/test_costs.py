"""`vitric allocate`: costs of widths, budgets kept by the compiled model, and files that other commands take."""


import pytest
from vitric.compiler.blank import blank_integer_vit
from vitric.compiler.compile import compile_model
from vitric.compiler.costs import CostModel
from vitric.compiler.cycles import predict
from vitric.golden import digits, load_float, quantize
from vitric.golden.quantization.bits import Bits, product_names
from vitric.golden.quantization.methods import METHODS
from vitric.golden.quantization.settings import Settings
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.spec.vit import vit_config

TINY = vit_config("tiny")
MIXED = {"patch_embed": (3, 8), "blocks.0.attn": (4, 6), "blocks.0.attn.scores": (8, 3), "blocks.0.mlp": (5, 4),
         "head": (4, 6)}


def size_and_cycles(model, spec):
    stream = compile_model(model, spec).stream
    return len(stream.data), predict(stream.commands(), spec).cycles


@pytest.mark.parametrize("options", [{}, {"w_bits": 3, "a_bits": 6}, {"layer_bits": MIXED},
                                     {"method": "ptq4vit", "layer_bits": MIXED}], ids=str)
def test_blank_models_cost_what_real_ones_do(options):
    model = quantize(load_float("tiny"), digits("train")[:32], **options)
    settings = Settings(**options)
    layer_bits = {name: settings.bits(name) for name in product_names(TINY)}
    cost = CostModel(TINY, SPECS["tiny"], settings.recipe).measure(layer_bits)
    assert (cost["bytes"], cost["cycles"]) == size_and_cycles(model, SPECS["tiny"])
    if settings.method == "mse":
        blank = blank_integer_vit(TINY, SPECS["tiny"], settings.bits)
        assert size_and_cycles(blank, SPECS["tiny"]) == (cost["bytes"], cost["cycles"])


def test_blank_models_of_several_blocks_reload_their_tables():
    model = quantize(load_float("digits"), digits("train")[:32], method="minmax")
    blank = blank_integer_vit(vit_config("digits"), SPECS["digits"], Settings().bits)
    assert size_and_cycles(blank, SPECS["digits"]) == size_and_cycles(model, SPECS["digits"])


def test_increments_of_bytes_add_up():
    costs = CostModel(TINY, SPECS["tiny"], METHODS["mse"])
    table, fixed = costs.increments("bytes", (3, 6))
    for choice in (min, max):
        layer_bits = {name: choice(table[name], key=lambda bits: (sum(bits), bits)) for name in table}
        assert costs.measure(layer_bits)["bytes"] == fixed + sum(table[name][layer_bits[name]] for name in table)
    assert table["blocks.0.attn.scores"] == dict.fromkeys(table["blocks.0.attn.scores"], 0)  # keys are not streamed
    weights = 3 * TINY.embed_dim**2 // 2  # bytes of one more plane
    assert table["blocks.0.attn.qkv"][Bits(6, 3)] == weights
