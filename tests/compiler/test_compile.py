from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from vitric.compiler.compare import logit_records
from vitric.compiler.compile import CompileError, compile_model
from vitric.compiler.layout import Buffer, allocate, plane_passes
from vitric.compiler.lower import token_rows
from vitric.golden.errors import UserError
from vitric.golden.integer.code_table import log2_values
from vitric.golden.integer.random import random_integer_vit
from vitric.golden.spec.accelerator import SPECS, AcceleratorSpec
from vitric.golden.spec.command import Flag, Opcode, Target
from vitric.golden.spec.vit import VIT_CONFIGS, VitConfig

from tests.compiler.machine import Machine

NETWORK = VitConfig(image_size=6, patch_size=2, in_chans=1, num_classes=5, embed_dim=12, depth=1, num_heads=2,
                    mlp_ratio=1.5)
SPEC = AcceleratorSpec(name="test", rows=4, cols=4, depth=8, max_tokens=16, max_embed=32, act_words=512,
                       residual_words=64, weight_words=128, channel_words=64)
DIGITS, TINY = SPECS["digits"], SPECS["tiny"]


def random_images(config, count, seed=5):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, config.in_chans, config.image_size, config.image_size), generator=generator)


def run(compiled, model, *, image=1, commands=None, seed=11):
    images = random_images(model.config, 2)
    trace = {}
    model(images, trace)
    columns = compiled.input_words(images)[image]
    tap = Machine(compiled.spec, seed=seed).run(commands or compiled.stream.commands(), columns)
    return tap, trace


@pytest.mark.parametrize("network,spec,bits", [
    pytest.param(VIT_CONFIGS["tiny"], TINY, {}, id="tiny"),
    pytest.param(replace(VIT_CONFIGS["digits"], depth=1), DIGITS, {}, id="digits"),
    pytest.param(NETWORK, SPEC, {}, id="heads narrower than a word"),
    pytest.param(replace(NETWORK, embed_dim=10), replace(SPEC, model_bits=32), {}, id="heads no multiple of a tile"),
    pytest.param(replace(NETWORK, embed_dim=9, num_heads=3, mlp_ratio=1.0), SPEC, {}, id="odd embedding"),
    pytest.param(NETWORK, SPEC, {"a_bits": 8, "w_bits": 8}, id="two planes on both sides"),
    pytest.param(replace(NETWORK, depth=2), SPEC, {"probability_values": log2_values(3)}, id="log2 codes"),
    pytest.param(NETWORK, replace(SPEC, w_bits=3, model_bits=32), {"w_bits": 3, "edge_bits": 6}, id="4 x 3 bit array"),
    pytest.param(NETWORK, replace(SPEC, a_bits=2, w_bits=8), {"a_bits": 4, "w_bits": 8}, id="2 x 8 bit array"),
    pytest.param(NETWORK, replace(SPEC, a_bits=8, w_bits=8), {"a_bits": 7, "softmax_bits": 6}, id="8 x 8 bit array"),
    pytest.param(replace(NETWORK, in_chans=3), replace(SPEC, rows=2, cols=2, depth=16, model_bits=128), {},
                 id="words of eight tiles"),
    pytest.param(replace(NETWORK, distilled=True), SPEC, {}, id="distillation token"),
    pytest.param(replace(NETWORK, reg_tokens=3, distilled=True, pre_norm=True), SPEC, {}, id="registers, norm before"),
    pytest.param(replace(NETWORK, distilled=True, depth=2), replace(SPEC, a_bits=8, depth=4),
                 {"a_bits": 8, "w_bits": 8}, id="distillation token, other ports"),
])
def test_commands_compute_the_golden_model(network, spec, bits):
    model = random_integer_vit(network, seed=1, spec=spec, **bits)
    compiled = compile_model(model, spec)
    tap, trace = run(compiled, model)
    result = compiled.compare(trace, 1, **tap)
    assert result.mismatches == [] and result.ok
    assert result.compared > sum(tensor[0].numel() for tensor in trace.values())  # code planes count on their own
    assert tap["logits"]["value"].tolist() == model(random_images(network, 2))[1].tolist()
    assert compile_model(model, spec).stream.data == compiled.stream.data


def test_distillation_token_has_a_row_group_of_its_own():
    config = replace(NETWORK, distilled=True)  # 11 tokens on 4 rows
    assert token_rows(config, SPEC).tolist() == [0, 4, 1, 2, 3, 5, 6, 7, 8, 9, 10]
    assert token_rows(NETWORK, SPEC).tolist() == list(range(10))
    small = random_integer_vit(replace(config, image_size=2), seed=1, spec=SPEC)
    with pytest.raises(CompileError, match="distillation token .* needs rows below 3, the tokens, not 4"):
        compile_model(small, SPEC)


def test_one_probability_buffer_if_two_do_not_fit():
    model = random_integer_vit(VIT_CONFIGS["digits"], seed=1, spec=DIGITS)
    roomy = compile_model(model, DIGITS)
    waiting = compile_model(model, replace(DIGITS, act_words=roomy.act_words - 1))
    compiled = compile_model(model, replace(DIGITS, act_words=waiting.act_words - 1))
    assert compiled.act_words < waiting.act_words < roomy.act_words
    # before that, the first LayerNorm waits for the product on the image, whose place it then takes
    norms = [[Flag.WHOLE in c.flags for c in x.stream.commands() if c.opcode is Opcode.NORM] for x in (roomy, waiting)]
    assert not any(norms[0]) and norms[1][0] and not any(norms[1][1:])

    def order(c):
        return "".join("s" if w.trace.endswith("softmax") else "c" for w in c.tensors
                       if w.head is not None and w.trace.startswith("blocks.0"))

    assert (order(roomy), order(waiting), order(compiled)) == ("sscscc", "sscscc", "scscsc")
    for one in (waiting, compiled):
        tap, trace = run(one, model)
        assert one.compare(trace, 1, **tap).ok


def test_deit_tiny_compiles():
    config, spec = VIT_CONFIGS["deit_tiny"], SPECS["deit_tiny"]
    compiled = compile_model(random_integer_vit(config, seed=1, spec=spec), spec)
    commands = compiled.stream.commands()
    assert len(commands) == 3 + 12 * (2 + 4 + 2 * 3 + 2) + 2 + 1
    weight_bits = sum(c.weights.size for c in commands if c.weights is not None) * spec.w_bits
    assert weight_bits == 4 * (12 * 12 * 192 * 192 + 2 * 192 * 768 + 2 * 192 * 1000)
    assert weight_bits < 8 * len(compiled.stream.data) < 1.12 * weight_bits
    assert compiled.act_words <= spec.act_words
    assert all(2 * c.fields["set_words"] <= spec.weight_words for c in commands if c.weights is not None)


MODEL = random_integer_vit(NETWORK, seed=1, spec=SPEC)
COMPILED = compile_model(MODEL, SPEC)


def test_input_words():
    images = torch.arange(36).reshape(1, 1, 6, 6) + torch.tensor([0, 100]).reshape(2, 1, 1, 1)
    words = COMPILED.input_words(images)
    assert words.shape == (2, 3 * 4, 4) and words.dtype == np.uint8
    # tokens 0..3: class token, patches at columns 0, 2 and 4 of image row 0; channels: the 2 x 2 pixels of a patch
    assert words[0, :4].tolist() == [[0, 0, 2, 4], [0, 1, 3, 5], [0, 6, 8, 10], [0, 7, 9, 11]]
    assert words[1, 8:].tolist() == [[126, 128, 0, 0], [127, 129, 0, 0], [132, 134, 0, 0], [133, 135, 0, 0]]
    with pytest.raises(ValueError):
        COMPILED.input_words(images[:, :, :4])


@pytest.fixture(scope="module")
def tapped():
    return run(COMPILED, MODEL)


def command_of(name):
    return next(w.index for w in COMPILED.tensors if w.trace == name)


@pytest.mark.parametrize("kind,name,row,channel", [
    ("act", "input", 0, 0), ("act", "blocks.0.attn.q", 0, 0), ("act", "blocks.0.attn.v", 0, 0),
    ("act", "blocks.0.attn.softmax", 0, 0), ("residual", "patch_embed", 0, 0),
])
def test_a_wrong_value_is_named(tapped, kind, name, row, channel):
    tap, trace = tapped
    records = tap[kind].copy()
    index = command_of(name)
    first = np.argmin(np.where(records["command"] == index, records["address"], 1 << 30))
    records["data"][first, 0] ^= 1
    result = COMPILED.compare(trace, 1, **{**tap, kind: records})
    assert result.failures == 1 and not result.ok
    found = result.mismatches[0]
    head = (0,) if name.endswith("softmax") else ()
    assert (found.image, found.tensor, found.index) == (1, name, (*head, row, channel))
    assert found.block == (0 if name.startswith("blocks") else None)
    assert found.expected ^ found.got == 1
    wanted = trace[name][(1, *found.index)].item()
    assert found.expected == (wanted if kind == "residual" else wanted & 15)


@pytest.mark.parametrize("kind", ["act", "residual"])
@pytest.mark.parametrize("name", ["input", "pos_embed", "blocks.0.attn.v", "blocks.0.attn.context", "blocks.0.mlp.fc2"])
def test_missing_repeated_and_stray_writes(tapped, kind, name):
    tap, trace = tapped
    records = tap[kind]
    chosen = np.flatnonzero(records["command"] == command_of(name))
    if not len(chosen):
        assert kind == ("residual" if name in ("input", "blocks.0.attn.v", "blocks.0.attn.context") else "act")
        return
    first = chosen[np.argmin(records["address"][chosen])]

    def failing(changed):
        return COMPILED.compare(trace, 1, **{**tap, kind: changed})

    missing = failing(np.delete(records, first))
    assert missing.failures and {(m.tensor, m.got) for m in missing.mismatches} == {(name, None)}
    repeated = failing(np.append(records, records[first]))
    assert [m.got for m in repeated.mismatches] == ["written more than once"]
    moved = records.copy()
    moved["address"][first] = 65000
    assert "write to an address that is not the tensor's" in [m.got for m in failing(moved).mismatches]
    stolen = records.copy()
    stolen["command"][first] = 99
    assert f"{kind} write of a command that has none" in [m.got for m in failing(stolen).mismatches]


def test_logits_are_compared(tapped):
    tap, trace = tapped
    for values in ([], tap["logits"]["value"][:-1], [*tap["logits"]["value"], 0], tap["logits"]["value"] + 1):
        logits = np.array([(v,) for v in values], dtype=logit_records())
        assert not COMPILED.compare(trace, 1, **{**tap, "logits": logits}).ok


def test_comparison_counts_beyond_its_list(tapped):
    tap, trace = tapped
    wrong = {name: tensor + 1 for name, tensor in trace.items() if name == "head"}
    result = COMPILED.compare({**trace, **wrong}, 1, **tap, limit=2)
    assert (result.failures, len(result.mismatches)) == (5, 2)


@pytest.mark.parametrize("field", ["a_wait", "w_wait"])
def test_every_wait_is_needed(field):
    """The machine refuses a read without its wait, so the passes above show that the waits are right."""
    commands, waited, tried = COMPILED.stream.commands(), 0, []
    for command in commands:
        if command.fields[field] > waited:  # else a command before it has already waited for as much
            early = [replace(c, fields={**c.fields, field: waited}) if c is command else c for c in commands]
            with pytest.raises(AssertionError, match="not waited for"):
                run(COMPILED, MODEL, commands=early)
            tried.append(command.target if command.opcode is Opcode.MATMUL else command.opcode)
        waited = max(waited, command.fields["a_wait"], command.fields["w_wait"])
    expected = {"a_wait": {*Target, Opcode.NORM}, "w_wait": {Target.SOFTMAX, Target.CODES}}
    assert set(tried) == expected[field]


@pytest.mark.parametrize("change,parameter,needed,available", [
    ({"max_tokens": 9}, "max_tokens", 10, 9), ({"max_embed": 11}, "max_embed", 12, 11),
    ({"max_classes": 4}, "max_classes", 5, 4),
    ({"residual_words": 35}, "residual_words", 36, 35),
    ({"act_words": 20}, "act_words", 22, 20),
    ({"weight_words": 2}, "weight_words", 4, 2),
    ({"channel_words": 8}, "channel_words", 12, 8),
    ({"acc_bits": 14}, "acc_bits", 19, 14),
    ({"w_bits": 5, "model_bits": 32}, "w_bits", 4, 5),
])
def test_what_does_not_fit_is_named_with_numbers(change, parameter, needed, available):
    with pytest.raises(CompileError) as caught:
        compile_model(MODEL, replace(SPEC, **change))
    assert isinstance(caught.value, UserError | ValueError)
    found = [m for m in caught.value.misfits if m.parameter == parameter]
    assert max(m.needed for m in found) == needed and {m.available for m in found} == {available}
    assert f"needs {parameter} {needed}, not {available}" in str(caught.value)


def changed(path, **values):
    """MODEL with other attributes at a path like ``blocks.0.attn.q.requantizer``."""
    def rebuild(node, parts):
        if not parts:
            return replace(node, **values)
        if isinstance(node, tuple):
            index = int(parts[0])
            return (*node[:index], rebuild(node[index], parts[1:]), *node[index + 1:])
        return replace(node, **{parts[0]: rebuild(getattr(node, parts[0]), parts[1:])})
    return rebuild(MODEL, path.split("."))


@pytest.mark.parametrize("path,values,message", [
    ("blocks.0.attn.q.requantizer", {"shift": torch.full((12,), 9)}, r"attn.q needs shift 9, not one of \(8, 13, "),
    ("blocks.0.attn.k.requantizer", {"zero_point": 1}, r"attn.k \(padded heads\) needs zero_point 1, not 0"),
    ("blocks.0.attn.q", {"a_bits": 3}, r"attn.q \(width of its input\) needs a_bits 4, not 3"),
    ("blocks.0.attn", {"softmax_bits": 9}, "softmax needs code_bits 9, not 8"),
    ("blocks.0.attn.context", {"high": 16}, r"attn.context needs codes 0..16, not 0..15"),
    ("blocks.0.attn", {"softmax_spec": replace(SPEC.softmax, frac_bits=7)}, "attn needs softmax"),
    ("blocks.0.norm1", {"spec": replace(SPEC.layernorm, gamma_fraction=8)}, "norm1 needs LayerNorm"),
    ("blocks.0.mlp.fc2", {"a_bits": 3}, r"mlp.act \(code table\) needs codes up to 15, not 7"),
    ("blocks.0.attn", {"score_shift": torch.tensor([8, 7])}, "softmax needs shift 7"),
    ("blocks.0.attn", {"score_multiplier": torch.tensor([1, 1 << 16])}, "needs multiplier up to 65536, not 65535"),
])
def test_unsupported_constants_are_named(path, values, message):
    with pytest.raises(CompileError, match=message):
        compile_model(changed(path, **values), SPEC)


def test_too_many_passes():
    spec = replace(SPEC, a_bits=3)
    with pytest.raises(CompileError, match="patch_embed needs passes 3 x 2 planes, not at most 4 passes"):
        compile_model(random_integer_vit(NETWORK, seed=1, spec=spec), spec)


@pytest.mark.parametrize("a_bits,w_bits", [(4, 4), (4, 3), (3, 4), (2, 8), (5, 2)])
@pytest.mark.parametrize("a_planes,w_planes", [(1, 1), (2, 1), (1, 2), (2, 2), (4, 1)])
def test_passes_are_horners_rule(a_bits, w_bits, a_planes, w_planes):
    spec = replace(SPEC, a_bits=a_bits, w_bits=w_bits, model_bits=32)
    fields = plane_passes(spec, a_planes, w_planes)
    codes = [fields["passes01"] & 255, fields["passes01"] >> 8, fields["passes23"] & 255, fields["passes23"] >> 8]
    weights: dict[tuple[int, int], int] = {}
    for code in codes[:a_planes * w_planes]:
        assert bool(code & 0x80) == (code is codes[a_planes * w_planes - 1]) or code & 0x80 == 0
        shift = spec.mac.shifts[code >> 4 & 3]
        weights = {key: value << shift for key, value in weights.items()}
        weights[code & 3, code >> 2 & 3] = 1
    assert [code >> 7 for code in codes] == [int(n == a_planes * w_planes - 1) for n in range(4)]
    assert weights == {(a, w): 1 << a * a_bits + w * w_bits for a in range(a_planes) for w in range(w_planes)}


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(1, 12), st.integers(0, 6)), min_size=1, max_size=12))
def test_buffers_that_are_alive_together_do_not_overlap(sizes):
    buffers = [Buffer(str(n), words, first, first + length) for n, (words, first, length) in enumerate(sizes)]
    peak = allocate(buffers)
    assert peak == max(b.base + b.words for b in buffers)
    for n, one in enumerate(buffers):
        for other in buffers[:n]:
            apart = one.base + one.words <= other.base or other.base + other.words <= one.base
            assert apart or one.last < other.first or other.last < one.first
    live = max(sum(b.words for b in buffers if b.first <= t <= b.last) for t in range(20))
    assert live <= peak <= sum(b.words for b in buffers)


def test_order_and_targets_of_a_block():
    kinds = {Opcode.LOAD: "load", Opcode.INPUT: "input", Opcode.NORM: "norm", Opcode.END: "end"}
    names = [kinds.get(c.opcode, c.target.name.lower()) for c in COMPILED.stream.commands()]
    block = ["norm", "codes", "codes", "codes", "softmax", "softmax", "codes", "codes", "residual", "norm", "codes",
             "residual"]
    assert names == ["input", "load", "residual", *block, "norm", "logits", "end"]
