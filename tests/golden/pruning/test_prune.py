import pytest
from vitric.golden.pruning.prune import recovery_recipe


def test_recipe_of_the_recovery():
    recipe = recovery_recipe("digits")
    assert recipe.epochs == 30 and recipe.learning_rate == pytest.approx(1e-3)
    assert recovery_recipe("digits", 7, seed=3).epochs == 7
    for epochs in (0, 10_001):
        with pytest.raises(ValueError, match="epochs must be between 1 and 10000"):
            recovery_recipe("digits", epochs)
