from dataclasses import replace

import pytest
from vitric.compiler.capacity import check_capacity
from vitric.compiler.compile import CompileError
from vitric.compiler.sizing import sized_spec
from vitric.golden.quantization.settings import Settings
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.spec.vit import VIT_CONFIGS

ODD = replace(VIT_CONFIGS["digits"], embed_dim=50, num_heads=5, depth=1, mlp_ratio=1.5)
CASES = {
    "tiny": (SPECS["tiny"], VIT_CONFIGS["tiny"], {}), "digits": (SPECS["digits"], VIT_CONFIGS["digits"], {}),
    "odd sizes": (SPECS["digits"], ODD, {}), "distilled": (SPECS["tiny"], replace(ODD, distilled=True), {}),
    "norm before": (SPECS["tiny"], replace(ODD, pre_norm=True, reg_tokens=2), {}),
    "wide codes": (SPECS["digits"], ODD, {"w_bits": 8, "a_bits": 8}), "8 rows": (SPECS["deit_tiny"], ODD, {}),
}


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request):
    shape, config, options = request.param
    return config, Settings(spec=shape, **options), sized_spec(shape, config, Settings(spec=shape, **options), name="x")


def test_the_model_fits_and_runs_as_fast(case):
    config, settings, spec = case
    cycles = check_capacity(config, spec, settings).prediction.cycles
    large = replace(spec, act_words=1 << 15, residual_words=1 << 15, weight_words=1 << 12, channel_words=1 << 12)
    assert cycles <= 1.1 * check_capacity(config, large, settings).prediction.cycles


@pytest.mark.parametrize("name", ["residual_words", "max_tokens", "max_embed", "max_classes"])
def test_one_less_does_not_fit(case, name):
    config, settings, spec = case
    less = getattr(spec, name) - (spec.drain_cols if name == "residual_words" else 1)  # it is a multiple of that
    with pytest.raises(CompileError, match=f"{name} {getattr(spec, name)}, not {less}"):
        check_capacity(config, replace(spec, **{name: less}), settings)


def test_activation_memory_has_no_word_too_many(case):
    """One word less, and the compiler has one buffer of probabilities, or LayerNorm waits, or cannot do it."""
    config, settings, spec = case

    def what_is_done(spec):
        return [(c.opcode, c.target, c.flags) for c in check_capacity(config, spec, settings).commands]

    try:
        less = what_is_done(replace(spec, act_words=spec.act_words - 1))
    except CompileError:
        return
    assert less != what_is_done(spec)


def test_one_set_takes_a_smaller_ring():
    shape, config = SPECS["digits"], VIT_CONFIGS["digits"]
    one, two = (sized_spec(shape, config, Settings(spec=shape), name="x", sets=sets) for sets in (1, 2))
    assert one.weight_words < two.weight_words
    check_capacity(config, one, Settings(spec=one))
