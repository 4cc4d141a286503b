import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from vitric.golden.arith import nearest_signed_code, signed_code_range
from vitric.golden.integer import IntegerLinear, patchify
from vitric.golden.integer.layers import add_residual
from vitric.golden.integer.random import random_integer_vit
from vitric.golden.integer.softmax import softmax
from vitric.golden.integer.storage import load_integer, model_digest, save_integer
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.spec.vit import VIT_CONFIGS, VitConfig

CONFIG = VitConfig(image_size=4, patch_size=2, in_chans=2, num_classes=3, embed_dim=6, depth=2, num_heads=2,
                   mlp_ratio=2.0)
MODEL = random_integer_vit(CONFIG, seed=3)


def images(config=CONFIG, count=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, config.in_chans, config.image_size, config.image_size), generator=generator)


def with_query_zero(model, zero):
    """The model with another zero point of the queries in every block."""
    def changed(block):
        q = replace(block.attn.q, requantizer=replace(block.attn.q.requantizer, zero_point=zero))
        return replace(block, attn=replace(block.attn, q=q))

    return replace(model, blocks=tuple(changed(block) for block in model.blocks))


def test_trace_has_every_tensor_in_integers():
    trace = {}
    logits = MODEL(images(), trace)
    T, E, M, H = 5, 6, 12, 2
    block = {"norm1": (T, E), "attn.q": (T, E), "attn.k": (T, E), "attn.v": (T, E), "attn.softmax": (H, T, T),
             "attn.context": (T, E), "attn.proj": (T, E), "norm2": (T, E), "mlp.act": (T, M), "mlp.fc2": (T, E)}
    expected = {"input": (T, 8), "pos_embed": (T, E), "patch_embed": (T, E)}
    expected |= {f"blocks.{n}.{name}": shape for n in range(2) for name, shape in block.items()}
    unread = {name: shape for name, shape in block.items() if name not in ("norm1", "attn.k", "attn.v")}
    expected |= {f"blocks.1.{name}": (*shape[:-2], 1, shape[-1]) for name, shape in unread.items()}
    expected |= {"norm": (1, E), "head": (1, 3)}
    assert {name: tuple(tensor.shape) for name, tensor in trace.items()} == {
        name: (3, *shape) for name, shape in expected.items()}
    assert list(trace) == list(expected)  # in the order of computation
    assert {tensor.dtype for tensor in trace.values()} == {torch.int64}
    assert logits.shape == (3, 3) and torch.equal(logits, trace["head"][:, 0])


@pytest.mark.parametrize("fields", [{}, {"distilled": True}, {"reg_tokens": 2}], ids=str)
def test_what_nothing_reads_changes_nothing(fields):
    config = replace(CONFIG, **fields)
    model, prefix = random_integer_vit(config, seed=2), config.num_head_tokens
    short, whole = {}, {}
    assert torch.equal(model(images(config), short), model(images(config), whole, every_token=True))
    assert list(short) == list(whole)
    for name, part in short.items():
        tensor = whole[name]
        if part.shape != tensor.shape:
            assert name.startswith("blocks.1.") and part.shape[-2] == prefix
        assert torch.equal(part, tensor[..., :part.shape[-2], :]), name


@pytest.mark.parametrize("w_bits,a_bits,softmax_bits", [(4, 4, 8), (8, 8, 8), (3, 5, 4), (6, 2, 6)])
def test_codes_are_in_range_and_spread(w_bits, a_bits, softmax_bits):
    config = VIT_CONFIGS["digits"]
    model = random_integer_vit(config, seed=1, w_bits=w_bits, a_bits=a_bits, softmax_bits=softmax_bits)
    trace = {}
    model(images(config, 8), trace)
    limit = signed_code_range(w_bits, 4)
    ranges = {"input": (0, 255), "norm1": (0, (1 << a_bits) - 1), "norm2": (0, (1 << a_bits) - 1),
              "q": (0, (1 << a_bits) - 1), "context": (0, (1 << a_bits) - 1), "act": (0, (1 << a_bits) - 1),
              "k": (-limit, limit), "v": (-limit, limit), "softmax": (0, (1 << softmax_bits) - 1), "norm": (0, 255)}
    for name, tensor in trace.items():
        low, high = ranges.get(name.split(".")[-1], (-(1 << 15), (1 << 15) - 1))
        assert low <= tensor.min() and tensor.max() <= high, name
        saturated = ((tensor == low) | (tensor == high)).double().mean()
        if low < 0:
            # spread: a fair part of the range is used, little of it saturates
            assert tensor.double().std() > (high - low) / (8 if high < 200 else 128), name
            assert saturated < (0.2 if high < 200 else 0.01), name
        elif name.endswith(("q", "norm1", "norm2")):
            assert tensor.double().std() > (high - low) / 8 and saturated < (0.1 if a_bits > 2 else 0.7), name
    for name in ("k", "v"):
        code = trace[f"blocks.0.attn.{name}"]
        assert torch.equal(code, nearest_signed_code(code, 4, 1 if w_bits <= 4 else 2))
    assert trace["head"].unique().numel() > 40


def test_equal_seeds_give_equal_models():
    again, other = random_integer_vit(CONFIG, seed=3), random_integer_vit(CONFIG, seed=4)
    assert torch.equal(MODEL(images()), again(images()))
    assert not torch.equal(MODEL(images()), other(images()))
    assert torch.equal(MODEL(images()), MODEL(images()))
    assert torch.equal(MODEL(images())[1:2], MODEL(images()[1:2]))  # images do not see each other


def test_accelerator_gives_units_and_planes():
    spec = SPECS["tiny"]
    model = random_integer_vit(CONFIG, seed=3, spec=spec)
    assert model.blocks[0].attn.softmax_spec.canonical == spec.softmax.canonical
    assert model.norm.spec.canonical == spec.layernorm.canonical
    assert (model.a_plane_bits, model.w_plane_bits) == (spec.a_bits, spec.w_bits)


def test_patchify_by_hand():
    image = torch.arange(32).reshape(1, 2, 4, 4)
    tokens = patchify(image, CONFIG)
    assert tokens[0].tolist() == [
        [0] * 8,
        [0, 1, 4, 5, 16, 17, 20, 21], [2, 3, 6, 7, 18, 19, 22, 23],
        [8, 9, 12, 13, 24, 25, 28, 29], [10, 11, 14, 15, 26, 27, 30, 31],
    ]


def test_residual_additions_saturate():
    x, y = torch.tensor([32000, -32000, 5]), torch.tensor([1000, -1000, -7])
    assert add_residual(x, y, 16).tolist() == [32767, -32768, -2]
    assert add_residual(torch.tensor([100]), torch.tensor([28]), 8).tolist() == [127]
    full = replace(MODEL, pos_embed=torch.full_like(MODEL.pos_embed, 32767))
    trace = {}
    full(images(), trace)
    assert trace["patch_embed"].max() == 32767 and trace["patch_embed"].min() < 32767


def loops(attn, a):
    """The attention of one image in plain loops over int64 numbers: codes (T, E) to context codes (T, E)."""
    T, E = a.shape
    hd = E // attn.num_heads

    def requantized(acc, r, channel, low, high, zero):
        product = ((acc >> int(r.pre_shift[channel])) + int(r.bias[channel])) * int(r.multiplier[channel])
        shift = int(r.shift[channel])
        return min(max((product + (1 << shift - 1) >> shift) + zero, low), high)

    def project(layer, token, channel):
        acc = sum(int(a[token, e]) * int(layer.weight[channel, e]) for e in range(E))
        r = layer.requantizer
        code = requantized(acc, r, channel, r.low, r.high, r.zero_point)
        if layer.signed_codes and layer.out_bits > layer.w_plane_bits and code % 16 == 8:
            code += 1
        return code

    q, k, v = ([[project(layer, t, c) for c in range(E)] for t in range(T)] for layer in (attn.q, attn.k, attn.v))
    out = torch.zeros(T, E, dtype=torch.int64)
    for h in range(attn.num_heads):
        channels = range(h * hd, (h + 1) * hd)
        for t in range(T):
            scores = []
            for s in range(T):
                shift, pre = int(attn.score_shift[h]), int(attn.score_pre_shift[h])
                acc = sum(q[t][c] * k[s][c] for c in channels) >> pre
                acc += -attn.q.requantizer.zero_point * sum(k[s][c] for c in channels) >> pre
                score = acc * int(attn.score_multiplier[h]) + (1 << shift - 1) >> shift
                scores.append(min(max(score, -32768), 32767))
            p = softmax(torch.tensor(scores), attn.softmax_spec, offset=attn.softmax_offset).tolist()
            p = [min(code, (1 << attn.softmax_bits) - 1) for code in p]
            for c in channels:
                acc = sum(p[s] * v[s][c] for s in range(T))
                r = attn.context
                out[t, c] = requantized(acc, r, c, r.low, r.high, r.zero_point)
    return out


@pytest.mark.parametrize("bits,zero", [({}, 8), ({}, 5), ({"w_bits": 8, "a_bits": 8}, 128),
                                       ({"w_bits": 8, "a_bits": 8}, 77), ({"softmax_bits": 5}, 8)])
def test_attention_of_three_tokens_in_loops(bits, zero):
    """Also with zero points that do not stay whole when they are shifted as the accumulator is."""
    config = replace(CONFIG, image_size=2, patch_size=1, depth=1)
    attn = with_query_zero(random_integer_vit(config, seed=9, **bits), zero).blocks[0].attn
    assert attn.score_pre_shift.tolist() == ([6, 6] if zero > 8 else [0, 0])
    generator = torch.Generator().manual_seed(1)
    a = torch.randint(0, 1 << bits.get("a_bits", 4), (2, 3, 6), generator=generator)
    trace = {}
    out = attn(a, trace, "x")
    for image in range(2):
        context = loops(attn, a[image])
        assert torch.equal(trace["x.context"][image], context)
        assert torch.equal(out[image], attn.proj(context))
    assert trace["x.context"].unique().numel() > 5


def test_bad_images():
    good = images()
    for bad in (good[0], good[:, :1], good[:, :, :3], good[:0]):
        with pytest.raises(ValueError):
            MODEL(bad)
    with pytest.raises((TypeError, ValueError)):
        MODEL(good.float())
    for value in (-1, 256):
        with pytest.raises(ValueError):
            MODEL(torch.full_like(good, value))


def test_codes_out_of_range_are_rejected():
    q = MODEL.blocks[0].attn.q
    with pytest.raises(OverflowError, match="a holds values"):
        q(torch.full((1, 6), 16))
    with pytest.raises(ValueError, match="weight must be between -7 and 7 at 4 bits, not 8"):
        IntegerLinear(weight=torch.full((2, 2), 8), w_bits=4, a_bits=4, w_plane_bits=4, requantizer=q.requantizer,
                      out_bits=4)
    with pytest.raises(TypeError, match="weight must be an int32 or int64 tensor"):
        replace(q, weight=q.weight.float())
    with pytest.raises(OverflowError, match="multiplier"):
        replace(q.requantizer, multiplier=torch.full((6,), 1 << 16))
    with pytest.raises(ValueError, match="gelu must have 256 entries"):
        replace(MODEL.blocks[0].mlp, gelu=torch.zeros(16, dtype=torch.int64))
    with pytest.raises(OverflowError, match="pos_embed"):
        replace(MODEL, pos_embed=MODEL.pos_embed + (1 << 16))


def test_storage_round_trip(tmp_path):
    path = tmp_path / "model.safetensors"
    save_integer(MODEL, path)
    loaded = load_integer(path)
    before, after = {}, {}
    assert torch.equal(MODEL(images(), before), loaded(images(), after))
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert loaded.config == MODEL.config and loaded.info == MODEL.info
    assert loaded.blocks[1].attn.softmax_spec == MODEL.blocks[1].attn.softmax_spec
    assert {tensor.dtype for tensor in load_file(path).values()} == {torch.int8, torch.int16, torch.int32}
    save_integer(loaded, path)
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


def test_the_float_models_epsilon_is_kept_but_changes_no_digest(tmp_path):
    """It is in files only where it is not the usual one: files and digests from before it was there are still right."""
    path = tmp_path / "model.safetensors"
    other = replace(MODEL, config=replace(MODEL.config, layer_norm_eps=1e-3))
    assert model_digest(other) == model_digest(MODEL)
    for model, there in ((MODEL, False), (other, True)):
        save_integer(model, path)
        assert load_integer(path).config == model.config
        assert (b"layer_norm_eps" in path.read_bytes()) == there


def test_storage_rejects(tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(FileNotFoundError):
        load_integer(path)
    with pytest.raises(ValueError, match=r"must be named \*.safetensors"):
        save_integer(MODEL, tmp_path / "model.pt")
    save_integer(MODEL, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="not a complete safetensors file"):
        load_integer(path)
    tensors = {"x": torch.zeros(1)}
    for metadata, message in [
        (None, "is not an integer model"), ({"vitric_integer": "["}, "not a valid"),
        ({"vitric_integer": "[" * 100_000}, "nested too deeply"),
        ({"vitric_integer": json.dumps({"format": 3})}, "format 3"),
        ({"vitric_integer": json.dumps({"format": 2, "model": {"type": "Popen", "fields": {}}})}, "Popen"),
        ({"vitric_integer": json.dumps({"format": 2, "model": {"tensor": "y"}})}, "not a valid"),
        ({"vitric_integer": json.dumps({"format": 2, "model": 7})}, "but a int"),
    ]:
        save_file(tensors, path, metadata=metadata)
        with pytest.raises(ValueError, match=message):
            load_integer(path)
