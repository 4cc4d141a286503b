"""Recipes of training: their schedule, their limits, and one for each config that can be trained."""

import pytest
from vitric.golden.recipe import RECIPES, Recipe, recipe_for


def test_schedule():
    recipe = Recipe(epochs=1, learning_rate=1.0, warmup=0.1)
    rates = [recipe.rate(step, 100) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * step for step in range(1, 11)])
    assert rates[10] == 1.0 and rates[55] == pytest.approx(0.5)
    assert rates[10:] == sorted(rates[10:], reverse=True) and 0 < rates[-1] < 1e-3


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "epochs must be between 1 and 10000, not 0"),
        ({"epochs": 1.5}, TypeError, "epochs must be an integer"),
        ({"seed": -1}, ValueError, "seed must be between 0"),
        ({"batch_size": 0}, ValueError, "batch_size must be between"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate must be"),
        ({"average": 1.0}, ValueError, "average must be"),
        ({"data": "cifar"}, ValueError, "data set must be one of"),
        ({"threads": 0}, ValueError, "threads must be between"),
        ({"precision": "float8"}, ValueError, "precision must be one of"),
        ({"cutmix": 1.5}, ValueError, "cutmix must be between 0.0 and 1.0, not 1.5"),
        ({"optimizer": "sgd"}, ValueError, "optimizer must be one of 'adamw', 'muon', not 'sgd'"),
        ({"init": "zero"}, ValueError, "init must be one of 'timm', 'mimetic', not 'zero'"),
        ({"label_smoothing": float("nan")}, ValueError, "label_smoothing must be"),
    ],
)
def test_illegal_recipe(change, error, message):
    with pytest.raises(error, match=message):
        Recipe(**{"epochs": 1} | change)


def test_recipes():
    assert set(RECIPES) == {"tiny", "digits", "fashion", "photos"}
    assert recipe_for("tiny") == RECIPES["tiny"]
    changed = recipe_for("digits", epochs=3, seed=9)
    assert (changed.epochs, changed.seed, changed.learning_rate) == (3, 9, RECIPES["digits"].learning_rate)
    names = ", ".join(map(repr, RECIPES))
    with pytest.raises(ValueError, match=f"config to train must be one of {names}, not 'large'"):
        recipe_for("large")
