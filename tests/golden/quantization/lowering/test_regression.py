"""Regression before rounding: a change that holds on other samples is made, one that only fits these is not."""

import pytest
import torch
from vitric.golden.quantization.lowering.regression import REGRESSIONS, ridge, validated

from tests.golden.quantization.quantize_kit import normal

WEIGHT, INPUTS = normal(5, 12), normal(400, 12, seed=1) @ normal(12, 12, seed=2)
ROWS = torch.rand(400, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
ROWS = ROWS / ROWS.sum()


def left(weight, missing, inputs=INPUTS, rows=ROWS):
    return float((rows * (missing - inputs @ (weight - WEIGHT).T).square()).sum())


def test_a_linear_error_is_made_up_for():
    missing = INPUTS @ normal(5, 12, seed=4).T * 0.1 + 0.02 * normal(400, 5, seed=5)
    assert left(validated(WEIGHT, INPUTS, ROWS, missing), missing) < 0.2 * left(WEIGHT, missing)
    # the weakest ridge is the best here, and it is the one of `ridge`
    torch.testing.assert_close(
        validated(WEIGHT, INPUTS, ROWS, missing), ridge(WEIGHT, INPUTS, ROWS, missing), rtol=0, atol=1e-9)


def test_noise_is_not_fitted():
    missing = normal(400, 5, seed=6)
    assert left(ridge(WEIGHT, INPUTS, ROWS, missing), missing) < left(WEIGHT, missing)  # on these samples
    assert validated(WEIGHT, INPUTS, ROWS, missing) is WEIGHT


def test_more_noise_takes_a_stronger_ridge():
    few = slice(0, 60)
    missing = INPUTS[few] @ normal(5, 12, seed=4).T * 0.02 + normal(60, 5, seed=7) * 0.3
    rows = ROWS[few] / ROWS[few].sum()
    found = validated(WEIGHT, INPUTS[few], rows, missing)
    fitted = ridge(WEIGHT, INPUTS[few], rows, missing)
    assert 0 < (found - WEIGHT).norm() < 0.8 * (fitted - WEIGHT).norm()


@pytest.mark.parametrize("name", REGRESSIONS)
def test_weights_that_are_0_stay_0(name):
    weight = WEIGHT.clone()
    weight[:, ::3], weight[2, 1] = 0, 0
    missing = INPUTS @ normal(5, 12, seed=4).T * 0.1
    found = REGRESSIONS[name](weight, INPUTS, ROWS, missing)
    assert ((found == 0) == (weight == 0)).all() and (torch.equal(found, weight) == (name == "none"))
