"""Pruning: masks, the importance behind them, training that keeps them, and quantization that does too."""


from vitric.golden import load_float
from vitric.golden.pruning.size import model_bytes

from tests.golden.pruning.test_masks import pruned


def test_bytes():
    model = load_float("digits")
    config = model.config
    assert model_bytes(model) == 4 * config.num_parameters
    weights = 12 * config.embed_dim**2 * config.depth
    assert model_bytes(model, 8) - model_bytes(model, 4) == weights // 2
    assert model_bytes(model, n_m=(2, 4)) == 4 * config.num_parameters - weights * 4 + weights // 2 * 34 // 8
    assert model_bytes(model, 4, n_m=(1, 4)) == model_bytes(model, 4) - weights // 2 + weights // 4 * 6 // 8
    fewer, _ = pruned("digits", None, [(0, 1)])
    head = 4 * config.embed_dim * config.head_dim + 3 * config.head_dim  # weights and biases
    assert model_bytes(fewer) == 4 * (config.num_parameters - head)
    assert model_bytes(model, 4) - model_bytes(fewer, 4) == (head - 48) // 2 + 8 * 4 * config.head_dim
