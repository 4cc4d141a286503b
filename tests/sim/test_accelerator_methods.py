"""Models of every quantization method and width, one after the other on one accelerator, in its tests' build."""

from dataclasses import replace

from vitric.compiler.compile import compile_model
from vitric.golden import load_float, quantize
from vitric.golden.data.sets import digits
from vitric.golden.pruning.masks import apply_masks, combine, head_masks, n_m_masks
from vitric.golden.qat import TUNING_RECIPES, fine_tune
from vitric.golden.quantization import quantize_with_scales
from vitric.golden.quantization.methods import METHODS
from vitric.golden.recipe import recipe_for
from vitric.golden.spec.command import ErrorCode

from tests.sim.test_accelerator import SPEC, simulate

MIXED = {  # every product with widths of its own: one or two planes on either port, in all combinations
    "patch_embed": (3, 8), "blocks.0.attn.qkv": (4, 6), "blocks.0.attn.scores": (8, 3), "blocks.0.attn.context": (2, 5),
    "blocks.0.attn.proj": (6, 7), "blocks.0.mlp.fc1": (5, 4), "blocks.0.mlp.fc2": (3, 8), "head": (4, 5),
}
OTHERWISE = {name: (8 if w <= 4 else 3, a if name == "patch_embed" else 8 if a <= 4 else 2)
             for name, (w, a) in MIXED.items()}
WIDTHS = [(8, 8), (6, 6), (4, 8), (3, 3), (2, 2)]  # weights, activations
OPTIONS = [
    *({"method": name} for name in METHODS), {"granularity": "group"},
    *({"method": name, "layer_bits": bits} for name in ("mse", "ptq4vit") for bits in (MIXED, OTHERWISE)),
    {"pruned": True}, {"pruned": True, "method": "ptq4vit", "w_bits": 6},
    *({"method": name, "w_bits": w_bits, "a_bits": a_bits} for name in ("mse", "ptq4vit") for w_bits, a_bits in WIDTHS),
]


TUNED = [{"w_bits": 2, "a_bits": 2}, {"w_bits": 1, "a_bits": 4}, {"w_bits": 3, "a_bits": 3, "method": "adalog"}]


def tuned(**options):
    lowered = quantize_with_scales(load_float("tiny"), digits("train")[:64], **options)
    data = digits("train")
    few = replace(data, images=data.images[:256], labels=data.labels[:256])
    return fine_tune(lowered, load_float("tiny"), few, recipe_for("tiny", TUNING_RECIPES, epochs=2)).model


def float_model(*, pruned=False, **options):
    """Return the trained model, or it without one of its heads and half of its other weights."""
    model = load_float("tiny")
    if pruned:
        apply_masks(model, combine(head_masks(model, [(0, 0)]), n_m_masks(model, 2, 4)))
    return model


def test_every_method_and_width_is_exact():
    cases = [*OPTIONS, *(options | {"tuned": True} for options in TUNED)]
    images = digits("test")[:len(cases)]
    models = [quantize(float_model(**options), digits("train")[:64], **{
        name: value for name, value in options.items() if name != "pruned"}) for options in OPTIONS]
    models += [tuned(**options) for options in TUNED]
    compiled = [compile_model(model, SPEC) for model in models]
    columns = [item.input_words(images[n:n + 1])[0] for n, item in enumerate(compiled)]
    result = simulate(compiled[0], None, words=[item.stream.words for item in compiled], columns=columns,
                      cycle_limit=500_000)
    for number, (options, item, model) in enumerate(zip(cases, compiled, models, strict=True)):
        trace = {}
        golden = model(images[number:number + 1], trace)
        assert result.status[number] == (ErrorCode.OK, len(item.stream.commands())), options
        assert result.logits[number, :result.logit_counts[number]].tolist() == golden[0].tolist(), options
        comparison = item.compare(trace, 0, **result.records(number))
        assert comparison.mismatches == [] and comparison.ok, options
