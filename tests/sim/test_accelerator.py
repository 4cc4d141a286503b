"""The whole accelerator in Verilator: random models bit for bit.

All tests share one build: precision and network are properties of the stream.
"""

from pathlib import Path

import pytest
import torch
from vitric.compiler.compile import compile_model
from vitric.golden.integer.code_table import log2_values, twin_uniform_values
from vitric.golden.integer.random import random_integer_vit
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.spec.command import ErrorCode
from vitric.golden.spec.vit import VIT_CONFIGS, VitConfig
from vitric.sim.accelerator import run_stream

from tests.golden.integer.test_vit import with_query_zero
from tests.processes import one_at_a_time

FOLDER = Path(__file__).parents[2] / "build" / "tests" / "accelerator"
SPEC = SPECS["tiny"]


def images_for(config, count, seed=5):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, config.in_chans, config.image_size, config.image_size), generator=generator)


def simulate(compiled, images, **options):
    with one_at_a_time(FOLDER):
        return run_stream(compiled, images, build_dir=FOLDER, **options)


def vit(**values):
    return VitConfig(**{"image_size": 4, "patch_size": 2, "in_chans": 1, "num_classes": 3, "embed_dim": 8, "depth": 1,
                        "num_heads": 2, "mlp_ratio": 1.0, **values})


CONFIG = vit()
"""A small network that has every kind of command."""
IMAGES = images_for(CONFIG, 3)

NETWORKS = [  # network, bits of weights and of activations, what probabilities may be worth
    (VIT_CONFIGS["tiny"], (4, 4), None),
    (VIT_CONFIGS["tiny"], (4, 4), twin_uniform_values(4, 4)),
    (vit(embed_dim=12, num_heads=3, mlp_ratio=1.5), (8, 8), None),
    (vit(embed_dim=10, num_classes=5, mlp_ratio=2.0), (3, 3), log2_values(3)),  # heads of 5 channels
    (vit(embed_dim=9, num_heads=3, depth=2, mlp_ratio=1.0), (2, 2), log2_values(4)),  # heads of 3 channels
    (vit(image_size=2, in_chans=3, num_classes=1), (4, 8), None),  # two tokens: a whole row group
    (vit(num_classes=13, mlp_ratio=3.0, embed_dim=6, num_heads=1), (8, 4), None),
    (vit(embed_dim=4, num_heads=4, mlp_ratio=0.5), (4, 4), None),  # heads of one channel
    (vit(image_size=4, patch_size=4, embed_dim=32, num_heads=2), (3, 8), twin_uniform_values(3, 5)),  # longest
    (vit(distilled=True, depth=2), (4, 4), None),  # the head reads two tokens side by side
    (vit(reg_tokens=3, depth=2), (4, 4), None),  # the head reads one of four tokens before the patches
    (vit(reg_tokens=1, distilled=True), (4, 4), None),
    (vit(pre_norm=True, depth=2), (4, 4), None),  # the residual stream is made twice
]


@pytest.mark.parametrize("stall", [0, 30])
def test_random_models(stall):
    check_networks(SPEC, simulate, stall)


def check_networks(spec, simulate, stall):
    """One after the other on one machine, two images each: every value that is written, and the logits."""
    runs, streams, columns = [], [], []
    for config, (w_bits, a_bits), values in NETWORKS:
        model = random_integer_vit(config, seed=w_bits + a_bits, spec=spec, w_bits=w_bits, a_bits=a_bits,
                                   probability_values=values)
        if a_bits == 8:
            model = with_query_zero(model, 77)  # the key bias then depends on when it is shifted
        compiled = compile_model(model, spec)
        images = images_for(config, 2)
        trace = {}
        golden = model(images, trace)
        runs += [(compiled, trace, image, golden[image]) for image in range(2)]
        streams += [compiled.stream.words] * 2
        columns += list(compiled.input_words(images))
    result = simulate(runs[0][0], None, words=streams, columns=columns, stall=stall, seed=3, cycle_limit=500_000)
    assert result.status == [(ErrorCode.OK, len(compiled.stream.commands())) for compiled, *_ in runs]
    assert result.images_taken.tolist() == list(range(1, len(runs) + 1))
    for number, (compiled, trace, image, golden) in enumerate(runs):
        network = NETWORKS[number // 2]
        assert result.logits[number, :result.logit_counts[number]].tolist() == golden.tolist(), network
        comparison = compiled.compare(trace, image, **result.records(number))
        assert comparison.mismatches == [] and comparison.ok, network
