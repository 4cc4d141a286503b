"""Twenty accelerators and networks drawn from what is legal: each is refused at once, or computes what golden does."""

from dataclasses import replace
from functools import cache
from random import Random

import numpy as np
import pytest
import torch
from vitric.compiler.capacity import check_capacity
from vitric.compiler.compile import CompileError, compile_model
from vitric.golden.quantization import quantize
from vitric.golden.quantization.methods import METHODS
from vitric.golden.quantization.settings import Settings
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.vit import ACT_LAYERS, VitConfig
from vitric.golden.vit import VisionTransformer
from vitric.sim.accelerator import run_stream

from tests.compiler.machine import Machine

pytestmark = pytest.mark.long

SEEDS = range(20)
IN_VERILATOR = (1, 5, 15)
"""Seeds of the three smallest that fit."""
CALIBRATION = 12


def draw(seed):
    """Return an accelerator, a network and the options of a quantization, all legal on their own."""
    random = Random(seed)
    heads = random.choice((1, 2, 3, 5))
    patch = random.choice((1, 2, 3))
    network = VitConfig(
        image_size=patch * random.choice((2, 3)), patch_size=patch, in_chans=random.choice((1, 3)),
        num_classes=random.choice((2, 7)), embed_dim=heads * random.choice((4, 7, 8)), depth=random.choice((1, 2)),
        num_heads=heads, mlp_ratio=random.choice((1.0, 2.0)), qkv_bias=random.random() < 0.7,
        distilled=random.random() < 0.3)
    rows = random.choice((2, 4, 8))
    a_bits, w_bits = (random.choice((2, 3, 4, 4, 5, 8)) for _ in "aw")
    depth = rows * random.choice((1, 2, 4))
    while rows * depth * w_bits % 32:
        depth *= 2
    widths = [width for width in (32, 64, 128) if rows * depth * w_bits % width == 0
              and (16 * rows % width == 0 or width % (16 * rows) == 0)]
    spec = {
        "rows": rows, "cols": rows, "depth": depth, "a_bits": a_bits, "w_bits": w_bits,
        "acc_bits": random.choice((16, 18, 20, 21, 22, 24, 26, 32)), "model_bits": random.choice(widths),
        "max_tokens": random.choice((10, 20, 30)), "max_embed": random.choice((32, 48)), "max_classes": 8,
        "act_words": random.choice((128, 700, 1500)), "residual_words": random.choice((128, 332)),
        "weight_words": random.choice((64, 256)), "channel_words": random.choice((64, 128))}
    methods = ("mse", *(name for name in METHODS if "best" not in name))  # `best` refuses one of these at 2 bits
    options = {"method": random.choice(methods), "w_bits": random.choice((2, 3, 4, 5, 6)),
               "a_bits": random.choice((2, 3, 4, 6)), "edge_bits": random.choice((w_bits, w_bits, 4, 8))}
    spec["drain_cols"] = random.choice([columns for columns in (1, 2, 4) if columns <= rows])
    extra = {"reg_tokens": random.choice((0, 0, 1, 4)), "pre_norm": random.random() < 0.3,
             "act_layer": random.choice(ACT_LAYERS)}
    return replace(network, **extra), spec, options


def images_of(network, count, seed):
    shape = (count, network.in_chans, network.image_size, network.image_size)
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed))


@cache
def accelerator(seed):
    """Return the accelerator and the options, or the message with which the network is refused."""
    network, parameters, options = draw(seed)
    try:
        spec = AcceleratorSpec(name=f"drawn {seed}", **parameters)
        check_capacity(network, spec, Settings(spec=spec, **options))
    except CompileError as error:
        for misfit in error.misfits:
            assert str(misfit.needed) in str(error) and str(misfit.available) in str(error)
        return str(error)
    except ValueError as error:
        return str(error)
    return spec


@cache
def compiled_model(seed):
    """Return the compiled model with its trace and images."""
    spec, (network, _, options) = accelerator(seed), draw(seed)
    torch.manual_seed(seed)
    model = VisionTransformer(network)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    integer = quantize(model.eval(), images_of(network, CALIBRATION, seed), spec=spec, **options)
    images, trace = images_of(network, 2, seed + 1), {}
    integer(images, trace)
    return compile_model(integer, spec), trace, images


def test_some_are_refused_and_most_are_not():
    drawn = [accelerator(seed) for seed in SEEDS]
    refused = [message for message in drawn if isinstance(message, str)]
    assert 2 <= len(refused) <= 12
    for message in refused:
        assert any(word in message for word in (" not ", "more than")), message
    fitting = [seed for seed in SEEDS if not isinstance(drawn[seed], str)]
    smallest = sorted(fitting, key=lambda seed: (drawn[seed].macs_per_cycle, seed))[:len(IN_VERILATOR)]
    assert sorted(smallest) == sorted(IN_VERILATOR) and len({drawn[seed].w_bits for seed in smallest}) > 1


@pytest.mark.parametrize("seed", SEEDS)
def test_the_software_machine_computes_golden(seed):
    if isinstance(message := accelerator(seed), str):
        network, parameters, options = draw(seed)
        assert any(name in message for name in {**parameters, **options}), message
        return
    compiled, trace, images = compiled_model(seed)
    columns = compiled.input_words(images)[1]
    tap = Machine(compiled.spec, seed=seed).run(compiled.stream.commands(), columns)
    result = compiled.compare(trace, 1, **tap)
    assert result.ok, result.mismatches[:3]


@pytest.mark.parametrize("seed", IN_VERILATOR)
def test_generated_hardware_computes_golden(seed, tmp_path):
    compiled, trace, images = compiled_model(seed)
    run = run_stream(compiled, images, build_dir=tmp_path, stall=20, seed=seed, cycle_limit=2_000_000)
    for image in range(len(images)):
        result = compiled.compare(trace, image, **run.records(image))
        assert result.ok, (run.status, result.mismatches[:3])
    assert np.array_equal(run.logits.numpy(), trace["head"][:, 0].numpy())
