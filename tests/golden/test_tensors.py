"""The table of tensors held to the models themselves: nothing missing, nothing more, every shape right."""

from dataclasses import replace

import pytest
import torch
from vitric.golden.integer.random import random_integer_vit
from vitric.golden.quantization.bits import product_names
from vitric.golden.spec.vit import vit_config
from vitric.golden.tensors import (
    LINEARS,
    PRODUCTS,
    TENSORS,
    block_of,
    linear,
    linears,
    short_name,
    tapped,
    tensor,
    tensors,
)
from vitric.golden.vit import VisionTransformer, collect

TINY = replace(vit_config("tiny"), depth=2)
CONFIGS = [TINY, replace(TINY, distilled=True), replace(vit_config("digits"), depth=1)]


@pytest.fixture(params=CONFIGS, ids=["tiny", "distilled", "digits"])
def config(request):
    return request.param


def images(config):
    shape = (3, config.in_chans, config.image_size, config.image_size)
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(1))


def test_traces_hold_the_traced_tensors_in_order(config):
    trace = {}
    random_integer_vit(config, seed=1)(images(config), trace)
    known = [one.name for one in tensors(config) if one.traced]
    assert sorted(trace) == sorted(known)
    late = [name for name in trace if short_name(name) in ("patch_embed", "attn.proj", "mlp.fc2", "head")]
    assert late == [name for name in known if name in late]


def test_taps_have_the_shapes_of_the_trace(config):
    trace, taps = {}, collect(VisionTransformer(config), images(config))
    random_integer_vit(config, seed=1)(images(config), trace, every_token=True)
    for one in tensors(config):
        if one.tap is None:
            continue
        x = taps[one.tap]
        y = one.to_trace(x, config.num_head_tokens)
        assert one.from_trace(y, x.shape).equal(x)
        if one.traced:
            assert y.shape == trace[one.name].shape, one.name
    assert {name for name in taps if tapped(name) is None} == {
        "patch_embed", *(f"blocks.{index}.{name}" for index in range(config.depth)
                         for name in ("attn.scores", "attn.proj", "mlp.fc2"))}


def test_linears_are_the_weights_of_the_network(config):
    model, taps = VisionTransformer(config), collect(VisionTransformer(config), images(config))
    rows = {}
    for one in linears(config):
        weight = model.get_submodule(one.module).weight
        rows.setdefault(one.module, []).append(one.rows(len(weight)))
        assert one.tap in taps and tensor(one.source).product == one.product
        assert tensor(one.output).traced or tensor(one.output).kind == "index"
    for module, parts in rows.items():
        count = len(model.get_submodule(module).weight)
        assert [index for part in parts for index in range(count)[part]] == list(range(count))
    weights = {name.removesuffix(".weight") for name, value in model.named_parameters() if value.dim() > 1}
    assert weights - {"cls_token", "dist_token", "pos_embed", "head_dist"} == set(rows)


def test_every_product_has_one_operand_on_each_port(config):
    operands = {}
    for one in tensors(config):
        if one.product is not None:
            operands.setdefault(one.product, []).append(one.port)
    for one in linears(config):
        if one.part == 0:
            operands[one.product].append("w")
    assert {name: sorted(ports) for name, ports in operands.items()} == dict.fromkeys(
        product_names(config), ["a", "w"])
    assert set(config.products) == {*PRODUCTS, "patch_embed", "head"}


def test_names_by_hand():
    assert (short_name("blocks.11.attn.q"), block_of("blocks.11.attn.q")) == ("attn.q", 11)
    assert (short_name("norm"), block_of("norm")) == ("norm", None)
    found = tensor("blocks.3.mlp.act")
    assert (found.tap, found.product) == ("blocks.3.mlp.gelu", "blocks.3.mlp.fc2")
    assert (found.port, found.kind) == ("a", "hidden")
    assert tapped("blocks.0.residual1").name == "blocks.0.attn.proj" and tapped("tokens").name == "patch_embed"
    assert linear("blocks.1.attn.k").rows(96) == slice(32, 64)
    assert (linear("patch_embed").module, linear("head").source) == ("patch_embed.proj", "norm")


@pytest.mark.parametrize("name", ["attn.q", "blocks.0.norm", "blocks.0", "blocks.x.norm1", "nothing", "blocks.1.head"])
def test_names_that_are_none(name):
    with pytest.raises(KeyError, match="has no tensor"):
        tensor(name)
    with pytest.raises(KeyError, match="has no linear layer"):
        linear(name)
    assert tapped(name) is None


def test_tables_have_no_name_twice():
    for names in ([one.name for one in TENSORS], [one.tap for one in TENSORS if one.tap], [x.name for x in LINEARS]):
        assert len(names) == len(set(names))
