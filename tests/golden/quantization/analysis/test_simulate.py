"""Simulated quantization of parts of a model."""

import torch
from vitric.golden import digits, load_float
from vitric.golden.quantization import quantize_with_scales, reference, simulate

OTHERS = digits("train")[100:132]


def test_simulation_of_some_roundings():
    result = quantize_with_scales(load_float("digits"), digits("train")[:64])
    wanted, usual = reference(result, OTHERS), simulate(result, OTHERS)

    def differs(tensors):
        return {name for name, x in tensors.items() if not torch.equal(x, wanted[name])}

    assert differs(simulate(result, OTHERS, lambda name: False)) == set()
    asked = set()
    simulate(result, OTHERS, lambda name: bool(asked.add(name)))
    assert asked >= set(wanted) | {f"{layer}.weight" for layer in result.drafts}
    assert differs(usual) == set(wanted)
    stream = simulate(result, OTHERS, lambda name: name == "blocks.1.attn.proj")
    earlier = ("patch_embed", "blocks.0", "blocks.1.norm1", "blocks.1.attn")
    before = [name for name in wanted if name.startswith(earlier)]
    assert differs(stream) == set(wanted) - set(before) | {"blocks.1.attn.proj"}
    steps = stream["blocks.1.attn.proj"] / result.quantities["blocks.1.attn.proj"].scale
    assert torch.allclose(steps, steps.round(), atol=1e-6) and not torch.equal(
        steps, wanted["blocks.1.attn.proj"] / result.quantities["blocks.1.attn.proj"].scale)
    keys = differs(simulate(result, OTHERS, lambda name: name == "blocks.3.attn.k.weight"))
    assert "blocks.3.attn.k" in keys and not keys & {"blocks.3.attn.q", "blocks.3.attn.v", "blocks.2.mlp.fc2"}
