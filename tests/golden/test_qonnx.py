import json
import math
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.util.cleanup import cleanup_model
from vitric.golden import digits, load_float
from vitric.golden.qonnx import DOMAIN, TIE, export
from vitric.golden.qonnx.check import TOLERANCE, compare
from vitric.golden.qonnx.graph import Graph
from vitric.golden.quantization import quantize_with_scales, simulate
from vitric.golden.quantization.codes.books import HIDDEN, PROBABILITIES
from vitric.golden.quantization.codes.maps import CentredCodes, NarrowCodes, UnsignedCodes
from vitric.golden.quantization.codes.quantity import Quantity
from vitric.golden.spec.arithmetic import Arithmetic

from tests.golden.pretrained_kit import FAMILIES, family
from tests.golden.quantization.quantize_kit import tensor

IMAGES = digits("train")[:64]
TEST = digits("test").images[:8]


def lower(config="tiny", **options):
    return quantize_with_scales(load_float(config), IMAGES, **options)


@pytest.fixture(scope="module")
def lowered():
    return lower()


@pytest.fixture(scope="module")
def exported(lowered):
    return export(lowered, batch=2)


def constant(proto, name):
    return numpy_helper.to_array(next(tensor for tensor in proto.graph.initializer if tensor.name == name))


def changed(model, name, change):
    """Return a copy of an exported model with one constant changed."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    stored = next(tensor for tensor in proto.graph.initializer if tensor.name == name)
    stored.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(stored)), name))
    return type(model)(proto=proto, tensors=model.tensors, batch=model.batch)


OPTIONS = [
    {},
    {"w_bits": 8, "a_bits": 8},
    {"w_bits": 2, "a_bits": 2, "method": "mse_plain", "granularity": "layer"},
    {"w_bits": 5, "a_bits": 5, "method": "packqvit", "edge_bits": 3,
     "spec": Arithmetic(a_bits=4, w_bits=3)},
    {"method": "ptq4vit", "a_bits": 6},
    {"method": "fq_vit", "w_bits": 3, "a_bits": 3},
    {"method": "adalog"},
    {"method": "p2_vit"},
    {"layer_bits": {"blocks.0.attn.scores": (8, 5), "blocks.0.mlp.fc2": (2, 7), "head": (5, 6)}},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(map(str, options)) or "default")
def test_every_layer_equals_the_simulated_model(options):
    lowered = lower(**options)
    outcome = compare(export(lowered), lowered, TEST)
    trace = {}
    lowered.model(TEST, trace, every_token=True)
    assert {x.name: x.values for x in outcome.tensors} == {
        name: codes.numel() for name, codes in trace.items() if name not in ("input", "pos_embed")}
    assert outcome.equal and outcome.images == 8
    for x in outcome.tensors:
        assert x.outside == 0 and x.error < 1e-5, x
        assert x.flipped <= len(TEST), x  # the class token's are the same for every image
        if x.name not in ("patch_embed", "head") and not x.name.endswith(("proj", "fc2")):
            assert x.values >= x.integer_layer >= 0.5 * x.values and x.values >= x.simulated, x
    if all(x.simulated in (None, x.values) for x in outcome.tensors):
        assert outcome.logits < 1e-5 and outcome.same_class == 8


def test_whole_digits_network_gives_the_simulated_logits():
    lowered = lower("digits")
    outcome = compare(export(lowered), lowered, TEST[:2])
    assert outcome.equal and outcome.same_class == outcome.same_class_integer == 2
    codes = [x for x in outcome.tensors if x.simulated is not None]
    assert sum(x.simulated for x in codes) > 0.99 * sum(x.values for x in codes)  # 0.9985 to 1, by the CPU's sums
    assert sum(x.integer_layer for x in codes) > 0.95 * sum(x.values for x in codes)
    assert outcome.logits < 0.01


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_gives_the_simulated_logits(name):
    lowered = quantize_with_scales(family(name), IMAGES)
    outcome = compare(export(lowered), lowered, TEST)
    assert outcome.equal and max(x.error for x in outcome.tensors) < 1e-5


def test_layernorms_have_the_models_epsilon():
    model = load_float("tiny")
    for norm in (model.blocks[0].norm1, model.blocks[0].norm2, model.norm):
        norm.eps = 1e-5
    nodes = export(quantize_with_scales(model, IMAGES)).proto.graph.node
    found = [attribute.f for node in nodes if node.op_type == "LayerNormalization" for attribute in node.attribute
             if attribute.name == "epsilon"]
    assert found == pytest.approx([1e-5] * 3)


def rounded(quantity, step, zero_code, values, *, signed=True):
    """Return the codes that qonnx gives values in steps from the code 0, and the traced tensor."""
    graph = Graph("test")
    x = graph.input("x", (1, len(values)))
    graph.round(x, "y", quantity, step, zero_code, signed=signed)
    wrapped = ModelWrapper(graph.model(["y"], {}))
    inputs = ((values - zero_code) * step)[None].numpy().astype(np.float32)
    return graph.traced["y"].codes(torch.tensor(execute_onnx(wrapped, {"x": inputs})["y"]))[0]


def quantity(codes, zero_point=0):
    return Quantity(codes=codes, scale=tensor(1.0)[0], zero_point=zero_point, offset=tensor(0.0)[0])


BOOKS = [book for table in (PROBABILITIES, HIDDEN) for name, books in table.items() if name not in ("uniform", "spare")
         for bits in (2, 3, 4) for book in (books(bits) if table is PROBABILITIES else books(bits, 4))]
MAPS = [
    *((NarrowCodes(bits, plane), 0, True) for plane in (3, 4) for bits in range(2, 2 * plane + 1)),
    *((UnsignedCodes(bits), 1 << bits - 1, True) for bits in range(2, 9)),
    *((UnsignedCodes(bits), 0, False) for bits in (2, 5, 8)),
    *((CentredCodes(bits), 1 << bits - 1, True) for bits in (2, 4, 8)),
    *((book, book.zero, True) for book in BOOKS),
]


@pytest.mark.parametrize("codes,zero_code,signed", MAPS, ids=lambda x: f"{type(x).__name__}{getattr(x, 'bits', x)}")
def test_rounding_is_that_of_the_code_map(codes, zero_code, signed):
    steps = torch.arange(codes.low - 20, codes.high + 20, 0.125, dtype=torch.float64) + 0.0625  # no ties
    got = rounded(quantity(codes, zero_code), 0.3, zero_code, steps, signed=signed)
    wanted = codes.encode(steps - zero_code, torch.ones((), dtype=torch.float64), torch.tensor(zero_code))
    assert torch.equal(got, wanted)


@pytest.mark.parametrize("codes", [UnsignedCodes(4), CentredCodes(4), NarrowCodes(4, 4), NarrowCodes(3, 3)])
def test_ties_go_up_as_in_golden(codes):
    zero = 0 if isinstance(codes, NarrowCodes) else 8
    halves = torch.arange(codes.low - 3, codes.high + 3, dtype=torch.float64) + 0.5
    got = rounded(quantity(codes, zero), 1.0, zero, halves + TIE * 2**codes.bits)
    assert torch.equal(got, codes.encode(halves - zero, torch.ones((), dtype=torch.float64), torch.tensor(zero)))
    unmoved = rounded(quantity(codes, zero), 1.0, zero, halves)
    assert not torch.equal(got, unmoved)  # half to even: what the shift is for


def test_a_tie_of_the_network_goes_up(lowered, exported):
    """The class token's query in block 0: half a step outside the codes, by construction of their range."""
    trace = {}
    lowered.model(TEST, trace, every_token=True)
    norm = lowered.quantities["blocks.0.norm1"].decode(trace["blocks.0.norm1"][:, 0])
    weight, bias = lowered.drafts["blocks.0.attn.q"].dequantized()
    steps = (norm @ weight.T + bias) / lowered.quantities["blocks.0.attn.q"].scale
    distance = (steps - torch.floor(steps) - 0.5).abs()
    channel = int(distance[0].argmin())
    assert distance[:, channel].max() < 1e-12 and steps[0, channel].abs() == pytest.approx(7.5)
    values = execute_onnx(ModelWrapper(exported.proto), {"images": TEST[:2].numpy().astype(np.float32)}, True)
    traced = exported.tensors["blocks.0.attn.q"]
    code = traced.zero_code + (7 if steps[0, channel] > 0 else -7)  # 8 would be beyond the codes
    assert (traced.codes(torch.tensor(values[traced.name]))[:, 0, channel] == code).all()


def test_weights_and_their_nodes(lowered, exported):
    proto = exported.proto
    nodes = {node.name: node for node in proto.graph.node}
    for name, draft in lowered.drafts.items():
        prefix = "patch_embed.proj" if name == "patch_embed" else name
        quant = nodes[f"{prefix}.weight"]
        scale, real = constant(proto, quant.input[1]), constant(proto, quant.input[0])
        codes = real / scale
        if name == "patch_embed":
            assert scale.shape == (len(draft.weight), 1, 1, 1)
            codes = codes.reshape(len(codes), -1)
        else:
            assert scale.shape in ((), (1, len(draft.weight)))
            codes = codes.T
        assert np.abs(codes - draft.weight.numpy()).max() < 1e-4
        assert constant(proto, quant.input[2]) == 0
        largest = draft.codes.high
        assert largest <= 2 ** (float(constant(proto, quant.input[3])) - 1) - 1 < 2 * largest + 1
        attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in quant.attribute}
        assert attributes == {"signed": 1, "narrow": 1, "rounding_mode": b"ROUND"}


def test_activations_have_one_scale_and_no_zero_point(lowered, exported):
    proto, seen = exported.proto, 0
    for node in proto.graph.node:
        if node.op_type == "Quant" and not node.name.endswith(".weight"):
            assert constant(proto, node.input[1]).shape == () and constant(proto, node.input[2]) == 0
            seen += 1
    assert seen == 1 + 8 + 1  # the image, a block's tensors, the last norm


def test_file_is_what_the_page_says(exported):
    proto = exported.proto
    onnx.checker.check_model(proto)
    assert {opset.domain: opset.version for opset in proto.opset_import} == {"": 17, DOMAIN: 1}
    assert proto.ir_version == 10
    shapes = {value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
              for value in (*proto.graph.input, *proto.graph.output)}
    assert shapes == {"images": [2, 1, 8, 8], "head": [2, 10]}
    assert {node.domain for node in proto.graph.node if node.op_type in ("Quant", "MultiThreshold")} == {DOMAIN}


def test_metadata_gives_codes_and_real_values(lowered, exported):
    properties = {entry.key: json.loads(entry.value) for entry in exported.proto.metadata_props}
    assert properties["vitric.info"] == lowered.model.info
    tensors = properties["vitric.tensors"]
    trace = {}
    lowered.model(TEST[:2], trace, every_token=True)
    assert set(tensors) == set(trace) - {"input", "pos_embed"}
    values = execute_onnx(ModelWrapper(exported.proto), {"images": TEST[:2].numpy().astype(np.float32)}, True)
    wanted = simulate(lowered, TEST[:2])
    for name, entry in tensors.items():
        if entry["kind"] == "real":
            continue
        codes = values[name].astype(np.float64) / entry["step"] + entry["zero_code"]
        assert np.abs(codes - codes.round()).max() < 1e-3
        real = (codes.round() - entry["zero_point"]) * np.array(entry["scale"]) + np.array(entry["offset"])
        assert np.allclose(real.reshape(wanted[name].shape), wanted[name], atol=1e-6)
        assert entry["bits"] == lowered.quantities[name].codes.bits


def test_nodes_say_what_they_help_to_compute(lowered, exported):
    trace = {}
    lowered.model(TEST[:1], trace, every_token=True)
    linked = {node.name: {entry.key: entry.value for entry in node.metadata_props}["vitric.trace"]
              for node in exported.proto.graph.node}
    assert set(linked.values()) == set(trace) - {"pos_embed"}
    assert linked["blocks.0.attn.scores"] == "blocks.0.attn.softmax"
    assert linked["blocks.0.mlp.act.erf"] == "blocks.0.mlp.act"
    assert linked["blocks.0.mlp.fc1.weight"] == "blocks.0.mlp.act"
    for name in set(trace) - {"input", "pos_embed"}:
        assert linked[name] == name


def test_cleaned_up_by_qonnx_it_is_the_same(exported):
    images = TEST[:2].numpy().astype(np.float32)
    wanted = execute_onnx(ModelWrapper(exported.proto), {"images": images})["head"]
    cleaned = cleanup_model(ModelWrapper(exported.proto, make_deepcopy=True))
    got = execute_onnx(cleaned, {cleaned.graph.input[0].name: images})[cleaned.graph.output[0].name]
    assert np.allclose(got, wanted, atol=1e-5)
    assert all(node.metadata_props[0].key == "vitric.trace" for node in cleaned.graph.node)


@pytest.mark.parametrize("name,tensor", [
    ("blocks.0.norm1.beta", "blocks.0.norm1"), ("blocks.0.attn.k.bias", "blocks.0.attn.k"),
    ("blocks.0.attn.scores.unit", "blocks.0.attn.softmax"), ("blocks.0.attn.v.offset", "blocks.0.attn.context"),
    ("blocks.0.mlp.act.argument.constant", "blocks.0.mlp.act"), ("pos_embed", "patch_embed"), ("head.bias", "head"),
])
def test_a_wrong_constant_shows_in_its_layer_alone(lowered, exported, name, tensor):
    wrong = changed(exported, name, lambda array: (array + 0.3 * np.abs(array).max()).astype(np.float32))
    outcome = compare(wrong, lowered, TEST)
    assert not outcome.equal
    assert [x.name for x in outcome.tensors if x.outside] == [tensor]


def test_tolerance_is_a_thousandth_of_a_step(lowered, exported):
    for shift, equal in ((2e-4, True), (0.02, False)):  # of a step: this layer's Quant has scale 1
        moved = changed(exported, "blocks.0.attn.k.bias", lambda array, shift=shift: array + np.float32(shift))
        assert compare(moved, lowered, TEST).equal is equal


def test_nan_and_infinity_are_outside(lowered, exported):
    wrong = changed(exported, "blocks.0.attn.k.bias", lambda array: np.full_like(array, math.inf))
    outside = {x.name: x.outside for x in compare(wrong, lowered, TEST[:2]).tensors}
    assert outside["blocks.0.attn.k"] == 2 * 5 * 16  # those that golden saturates too
    wrong = changed(exported, "head.bias", lambda array: np.full_like(array, math.nan))
    assert [x.name for x in compare(wrong, lowered, TEST[:2]).tensors if x.outside] == ["head"]


def test_tolerance_is_far_below_a_step():
    assert TIE * 2**8 < TOLERANCE < 0.01


def test_rejects(lowered):
    with pytest.raises(ValueError, match="batch must be between 1 and 65536, not 0"):
        export(lowered, batch=0)
    distilled = replace(lowered.model, config=replace(lowered.model.config, distilled=True))
    with pytest.raises(ValueError, match="the model must have no distillation token"):
        export(replace(lowered, model=distilled))
    with pytest.raises(ValueError, match="x does not fit float32"):
        Graph("test").constant("x", 1e39)
