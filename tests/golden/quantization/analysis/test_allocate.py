"""Mixed precision: errors of single roundings, and the allocation of widths under a budget."""

import itertools
import random

import pytest
import torch
from vitric.golden import digits, load_float
from vitric.golden.quantization import quantize_with_scales, reference, simulate
from vitric.golden.quantization.analysis.allocate import BudgetTooSmall, allocate, average_bits, bit_costs, choices
from vitric.golden.quantization.analysis.layer_errors import LayerErrors, measure_layer_errors
from vitric.golden.quantization.bits import Bits, product_names
from vitric.golden.quantization.settings import Settings

CALIBRATION, OTHERS = digits("train")[:32], digits("train")[64:192]


def random_problem(seed, products, widths=(2, 3, 4, 8)):
    draw = random.Random(seed)
    names = [f"blocks.{index}.mlp.fc1" for index in range(products)]
    costs = {name: {bits: draw.randrange(40) for bits in choices(name, widths)} for name in names}
    errors = {(name, port): {width: draw.random() for width in widths} for name in names for port in "wa"}
    return costs, LayerErrors(signal=1.0, errors=errors)


@pytest.mark.parametrize("seed", range(12))
def test_allocation_is_the_best_of_all(seed):
    """Against every combination: 12 problems of 3 products with 16 choices each, three budgets."""
    costs, errors = random_problem(seed, 3)
    every = []
    for combination in itertools.product(*costs.values()):
        pairs = list(zip(costs, combination, strict=True))
        every.append((sum(costs[name][bits] for name, bits in pairs), sum(errors.of(*pair) for pair in pairs)))
    for budget in (min(cost for cost, _ in every), 30, 60):
        found = allocate(costs, errors, budget)
        assert found.error == pytest.approx(min(error for cost, error in every if cost <= budget))
        assert found.cost == sum(costs[name][bits] for name, bits in found.layer_bits.items()) <= budget
        assert found.error == pytest.approx(sum(errors.of(name, bits) for name, bits in found.layer_bits.items()))
        assert list(found.layer_bits) == list(costs)


def test_rejected_problems():
    costs, errors = random_problem(1, 3)
    least = sum(min(costs[name].values()) for name in costs)
    with pytest.raises(BudgetTooSmall, match=f"budget must be at least {least}, .* not {least - 1}"):
        allocate(costs, errors, least - 1)
    with pytest.raises(ValueError, match="w_bits of blocks.0.mlp.fc1 must be one of 2, 3, 4, 8, not 5"):
        errors.of("blocks.0.mlp.fc1", Bits(5, 4))
    costs["blocks.2.mlp.fc1"][Bits(4, 4)] = -1
    with pytest.raises(ValueError, match="cost of blocks.2.mlp.fc1 at W4A4 must be between 0"):
        allocate(costs, errors, least)


def test_too_many_combinations(monkeypatch):
    monkeypatch.setattr("vitric.golden.quantization.analysis.allocate.MAX_STATES", 8)
    with pytest.raises(ValueError, match="widths must leave at most 8 efficient combinations, not .* after blocks"):
        allocate(*random_problem(3, 8), 10_000)


def test_bits_are_those_of_operands():
    config = load_float("digits").config
    assert [bits for bits in choices("patch_embed", (4, 2))] == [(2, 8), (4, 8)]
    assert len(choices("head", (2, 3, 4))) == 9
    uniform = {name: Bits(4, 8 if name == "patch_embed" else 4) for name in product_names(config)}
    share = config.products["patch_embed"].macs / config.total_macs
    assert average_bits(config, uniform) == pytest.approx(4 + 2 * share)
    cost = sum(bit_costs(config, (4, 8))[name][bits] for name, bits in uniform.items())
    assert average_bits(config, uniform) == pytest.approx(cost / (2 * config.total_macs))


@pytest.fixture(scope="module")
def errors():
    return measure_layer_errors(load_float("tiny"), CALIBRATION, OTHERS)


def test_more_bits_lose_less(errors):
    for (product, port), by_width in errors.errors.items():
        values = list(by_width.values())
        assert list(by_width) == [2, 3, 4, 6, 8], (product, port)
        assert all(low > high for low, high in itertools.pairwise(values)), (product, port)
        assert values[0] > 40 * values[-1] > 0, (product, port)
    assert {name for name, _ in errors.errors} == set(product_names(load_float("tiny").config))
    assert ("patch_embed", "a") not in errors.errors


@pytest.mark.parametrize("bits", [4, 8])
def test_errors_add_up_to_those_of_the_whole_model(errors, bits):
    """The sum over all roundings is the error with all of them at once, within 1.5 dB."""
    settings = Settings(w_bits=bits, a_bits=bits)
    names = product_names(load_float("tiny").config)
    expected = errors.snr_db(sum(errors.of(name, settings.bits(name)) for name in names))
    lowered = quantize_with_scales(load_float("tiny"), CALIBRATION, w_bits=bits, a_bits=bits)
    wanted = reference(lowered, OTHERS)["head"]
    measured = errors.snr_db(float((simulate(lowered, OTHERS)["head"] - wanted).square().sum(-1).mean()))
    assert expected == pytest.approx(measured, abs=1.5)
    assert errors.signal == pytest.approx(float(wanted.square().sum(-1).mean()))


def test_a_rounding_is_that_of_the_tensor_alone(errors):
    """Against a rounding by hand: the weights of the head, nearest codes, one scale for all."""
    model = load_float("tiny")
    found = measure_layer_errors(model, CALIBRATION, OTHERS, widths=(4,), method="minmax", granularity="layer")
    weight = model.head.weight.detach().double()
    scale = weight.abs().max() / 7
    model.head.weight.data = ((weight / scale + 0.5).floor() * scale).float()
    error = (model(OTHERS) - load_float("tiny")(OTHERS)).detach()
    assert found.errors["head", "w"][4] == pytest.approx(float(error.square().sum(1).mean()), rel=1e-3)


@pytest.mark.parametrize("method", ["ptq4vit", "adalog", "p2_vit"])
def test_methods_with_other_codes_are_measured(method):
    found = measure_layer_errors(load_float("tiny"), CALIBRATION, OTHERS[:32], widths=(3, 8), method=method)
    for by_width in found.errors.values():
        assert by_width[3] > by_width[8] > 0


def test_budget_of_bits_beats_uniform_widths(errors):
    model = load_float("tiny")
    uniform = {name: Settings(w_bits=4, a_bits=4).bits(name) for name in product_names(model.config)}
    budget = sum(bit_costs(model.config)[name][bits] for name, bits in uniform.items())
    found = allocate(bit_costs(model.config), errors, budget)
    assert average_bits(model.config, found.layer_bits) <= average_bits(model.config, uniform)

    def measured(**options):
        lowered = quantize_with_scales(model, CALIBRATION, **options)
        wanted = reference(lowered, OTHERS)["head"][:, 0]
        error = lowered.quantities["head"].decode(lowered.model(OTHERS)) - wanted
        return errors.snr_db(float(error.square().sum(1).mean()))

    assert measured(layer_bits=found.layer_bits) > measured() + 1.0  # decibels


def test_rejected_measurements():
    with pytest.raises(ValueError, match="widths must hold at least one width of 2 to 8 bits, not none"):
        measure_layer_errors(load_float("tiny"), CALIBRATION, OTHERS, widths=())
    with pytest.raises(ValueError, match="widths must be between 2 and 8, not 9"):
        measure_layer_errors(load_float("tiny"), CALIBRATION, OTHERS, widths=(4, 9))
    with pytest.raises(ValueError, match="images must have shape"):
        measure_layer_errors(load_float("tiny"), CALIBRATION, torch.zeros(1, 1, 4, 4, dtype=torch.uint8), widths=(4,))


@pytest.mark.parametrize("method", ["mse", "best", "erq"])
def test_layers_of_the_last_block_are_fitted_to_all_tokens(method):
    """With 64 images there are enough samples to fit weights to, of the class token alone as well."""
    found = measure_layer_errors(load_float("tiny"), digits("train")[:64], OTHERS, widths=(4,), method=method)
    assert {product for product, _ in found.errors} == set(product_names(load_float("tiny").config))
    assert all(0 <= error[4] < found.signal for error in found.errors.values())
