from dataclasses import replace

import pytest
from vitric.compiler.compile import compile_model
from vitric.compiler.plan import plan_model
from vitric.golden.integer.code_table import log2_values
from vitric.golden.integer.random import random_integer_vit
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.spec.vit import VIT_CONFIGS

ODD = replace(VIT_CONFIGS["tiny"], embed_dim=10, depth=2, mlp_ratio=1.5)
CASES = {
    "tiny": (SPECS["tiny"], VIT_CONFIGS["tiny"], {}),
    "odd sizes": (SPECS["digits"], ODD, {"probability_values": log2_values(3)}),
    "wide codes": (SPECS["digits"], ODD, {"w_bits": 8, "a_bits": 8}),
    "distilled": (SPECS["tiny"], replace(ODD, distilled=True), {}),
    "norm before": (SPECS["tiny"], replace(ODD, pre_norm=True, reg_tokens=2), {}),
}


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request):
    spec, config, options = request.param
    return random_integer_vit(config, seed=1, spec=spec, **options), spec


def test_a_plan_is_what_is_in_the_stream(case):
    model, spec = case
    plan, compiled = plan_model(model, spec), compile_model(model, spec)
    decoded = compiled.stream.commands()
    assert [(c.fields, c.position, c.words) for c in plan.commands] == [
        (c.fields, c.position, c.words) for c in decoded]
    assert (plan.words, plan.act_words) == (len(compiled.stream), compiled.act_words)


@pytest.mark.parametrize("changes", [{"model_bits": 128, "drain_cols": 2}, {"model_bits": 64, "drain_cols": 1}],
                         ids=str)
def test_a_plan_on_another_port_is_that_port_s_own(case, changes):
    model, spec = case
    if spec.weight_word_bits % changes["model_bits"]:
        changes = {**changes, "model_bits": spec.model_bits}
    other = replace(spec, **changes)
    moved, own = plan_model(model, spec).on(other), plan_model(model, other)
    assert [(c.fields, c.words) for c in moved.commands] == [(c.fields, c.words) for c in own.commands]
    assert moved.prediction == own.prediction
