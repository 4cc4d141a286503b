"""Widths layer by layer: names, the widths that reach the integer model, and what is refused."""

import json

import pytest
import torch
from vitric.golden import load_float, quantize
from vitric.golden.integer.storage import load_integer, save_integer
from vitric.golden.quantization import METHODS
from vitric.golden.quantization.bits import product_macs, product_names
from vitric.golden.quantization.settings import Settings
from vitric.golden.spec.arithmetic import Arithmetic
from vitric.golden.spec.vit import VIT_CONFIGS

from tests.golden.quantization.quantize_kit import IMAGES

MIXED = {
    "patch_embed": (3, 8), "blocks.0.attn.qkv": (4, 6), "blocks.0.attn.scores": (8, 3), "blocks.0.attn.context": (2, 5),
    "blocks.0.attn.proj": (6, 7), "blocks.0.mlp": (5, 4), "blocks.0.mlp.fc2": (3, 8), "head": (4, 5),
}


def codes_seen(model, images):
    """Return the largest magnitude of every traced code tensor."""
    trace = {}
    model(images, trace, every_token=True)
    return {name.removeprefix("blocks.0."): int(x.abs().max()) for name, x in trace.items()}


@pytest.mark.parametrize("method", ["mse", "ptq4vit"])
def test_every_width_reaches_the_integer_model(method):
    model = quantize(load_float("tiny"), IMAGES, method=method, layer_bits=MIXED)
    attn, mlp = model.blocks[0].attn, model.blocks[0].mlp
    books = METHODS[method].hidden != "uniform"  # codes are stored in 8 bits then, whatever they say
    assert [layer.w_bits for layer in (model.patch_embed, attn.q, attn.k, attn.v, attn.proj, mlp.fc1, mlp.fc2,
                                       model.head)] == [3, 4, 4, 4, 6, 5, 3, 4]
    assert [layer.a_bits for layer in (attn.q, attn.k, attn.v, attn.proj, mlp.fc1, mlp.fc2, model.head)] == [
        6, 6, 6, 7, 4, 8, 5]
    assert [layer.out_bits for layer in (attn.q, attn.k, attn.v)] == [3, 8, 2]
    assert attn.softmax_bits == (8 if books else 5)
    if books:
        assert len(attn.softmax_table.unique()) <= 32
    seen = codes_seen(model, IMAGES)
    limits = {"norm1": 63, "attn.q": 7, "attn.k": 119, "attn.v": 1, "attn.softmax": 255 if books else 31,
              "attn.context": 127, "norm2": 15, "mlp.act": 255, "norm": 31}
    assert {name: seen[name] for name in limits if seen[name] > limits[name]} == {}
    assert all(seen[name] > limits[name] // 2 for name in limits if not books or name != "attn.softmax")
    assert json.loads(model.info["layer_bits"])["blocks.0.mlp"] == [5, 4]


def test_only_the_named_layer_changes(tmp_path):
    plain = quantize(load_float("tiny"), IMAGES, method="minmax")
    assert "layer_bits" not in plain.info
    same = quantize(load_float("tiny"), IMAGES, method="minmax", layer_bits={"blocks": (4, 4), "head": (8, 8),
                                                                            "blocks.0.attn.context": (4, 8)})
    assert torch.equal(same(IMAGES), plain(IMAGES))
    wide = quantize(load_float("tiny"), IMAGES, method="minmax", layer_bits={"blocks.0.mlp.fc2": (8, 8)})
    ours, theirs = {}, {}
    wide(IMAGES, ours)
    plain(IMAGES, theirs)
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == [
        "blocks.0.mlp.act", "blocks.0.mlp.fc2", "norm", "head"]
    save_integer(wide, tmp_path / "wide.safetensors")
    again = load_integer(tmp_path / "wide.safetensors")
    assert torch.equal(again(IMAGES), wide(IMAGES)) and again.info == wide.info


def test_binary_weights():
    model = quantize(load_float("tiny"), IMAGES, layer_bits={"blocks.0.mlp.fc1": (1, 4)})
    assert set(model.blocks[0].mlp.fc1.weight.unique().tolist()) == {-1, 1}
    assert model.blocks[0].mlp.fc2.w_bits == 4


def test_the_most_specific_name_counts():
    settings = Settings(w_bits=3, a_bits=5, edge_bits=7, layer_bits={"blocks.1": (2, 2), "blocks.1.mlp": [8, 6],
                                                                     "blocks": (4, 4)})
    wanted = {"blocks.0.attn.proj": (4, 4), "blocks.1.attn.scores": (2, 2), "blocks.1.mlp.fc1": (8, 6),
              "patch_embed": (7, 8), "head": (7, 7), "blocks.10.mlp.fc1": (4, 4)}
    assert {name: tuple(settings.bits(name)) for name in wanted} == wanted
    plain = Settings(w_bits=3, a_bits=5)
    assert plain.bits("blocks.2.attn.qkv") == (3, 5) and plain.bits("blocks.2.attn.scores") == (5, 5)
    assert plain.bits("blocks.2.attn.context") == (5, 8)


@pytest.mark.parametrize("name", VIT_CONFIGS)
def test_products_make_up_the_network(name):
    config = VIT_CONFIGS[name]
    macs = product_macs(config)
    assert tuple(macs) == product_names(config) and len(macs) == 2 + 6 * config.depth
    assert sum(macs.values()) == config.total_macs


@pytest.mark.parametrize("value,error,message", [
    ([("head", (4, 4))], TypeError, "layer_bits must be a mapping of names to"),
    ({"blocks.0.attn.q": (4, 4)}, ValueError, "must name patch_embed, pre_proj, head, .* not 'blocks.0.attn.q'"),
    ({"blocks.x": (4, 4)}, ValueError, "not 'blocks.x'"),
    ({3: (4, 4)}, ValueError, "not 3"),
    ({"head": 4}, TypeError, "layer_bits of head must be a pair .*, not 4"),
    ({"head": (4, 4, 4)}, TypeError, "must be a pair"),
    ({"head": (0, 4)}, ValueError, "w_bits of head in layer_bits must be between 1 and 8, not 0"),
    ({"blocks.0.attn.scores": (1, 4)}, ValueError, "scores in layer_bits must be between 2 and 8, not 1"),
    ({"blocks.0.mlp": (1, 4)}, ValueError, "mlp in layer_bits must be between 2 and 8, not 1"),
    ({"head": (4, 9)}, ValueError, "a_bits of head in layer_bits must be between 2 and 8, not 9"),
    ({"head": (4, 4.5)}, TypeError, "a_bits of head in layer_bits must be an integer"),
    ({"patch_embed": (4, 4)}, ValueError, "a_bits of patch_embed in layer_bits must be 8, the width of pixels, not 4"),
    ({"pre_proj": (4, 4)}, ValueError, "layer_bits must not name pre_proj: this model has no norm before its first"),
    ({"blocks.1.mlp": (4, 4)}, ValueError, "layer_bits must name blocks 0 to 0 of this model, not blocks.1.mlp"),
])
def test_rejected(value, error, message):
    with pytest.raises(error, match=message):
        quantize(load_float("tiny"), IMAGES, layer_bits=value)


def test_rejected_digits():
    with pytest.raises(ValueError, match="w_bits of head in layer_bits must be at most 6, because a signed code"):
        Settings(edge_bits=6, spec=Arithmetic(w_bits=3), layer_bits={"head": (7, 4)})
