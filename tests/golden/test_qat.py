"""Quantization-aware training: values of the integer model, gradients of learned steps, frozen oscillation."""

import copy
from dataclasses import replace

import pytest
import torch
from vitric.golden import digits, load_float
from vitric.golden.qat import TUNING_RECIPES, Freezer, QuantizedTraining, Tuning, fine_tune
from vitric.golden.qat import model as model_module
from vitric.golden.qat.straight import replace_learned, replaced
from vitric.golden.quantization import quantize_with_scales
from vitric.golden.recipe import RECIPES, Recipe, recipe_for
from vitric.golden.train import accuracy
from vitric.golden.vit import VisionTransformer

from tests.golden.pretrained_kit import FAMILIES, family

TRAIN = digits("train")
CALIBRATION, OTHERS = TRAIN[:32], TRAIN[32:48]
SHORT = Recipe(epochs=3, learning_rate=1e-3, average=0.97, weight_decay=0.0, label_smoothing=0.0)


@pytest.fixture(scope="module")
def tiny():
    return load_float("tiny")


@pytest.fixture(scope="module")
def coarse(tiny):
    return quantize_with_scales(tiny, CALIBRATION, w_bits=3, a_bits=3)


def test_replaced_keeps_the_gradient():
    x = torch.tensor([0.3, -2.0], requires_grad=True)
    y = replaced(x, torch.tensor([1.0, 5.0]))
    (y * torch.tensor([2.0, 3.0])).sum().backward()
    assert y.tolist() == [1.0, 5.0] and x.grad.tolist() == [2.0, 3.0]


def test_learned_steps_have_the_gradients_of_lsq():
    """Codes 0 to 3 of scale 0.5 about 1.0: below, inside twice, above. Values by hand."""
    x = torch.tensor([0.2, 1.6, 2.1, 9.0], requires_grad=True)
    log_scale = torch.zeros(1, requires_grad=True)
    value = torch.tensor([1.0, 1.5, 2.0, 2.5])
    y = replace_learned(x, value, log_scale, torch.tensor(0.75), torch.tensor(2.75), torch.tensor(1.0))
    (y * torch.tensor([1.0, 10.0, 100.0, 1000.0])).sum().backward()
    assert y.equal(value) and x.grad.tolist() == [0.0, 10.0, 100.0, 0.0]
    # below: 1 * (1 - 1); inside: 10 * (1.5 - 1.6), 100 * (2.0 - 2.1); above: 1000 * (2.5 - 1)
    assert log_scale.grad.item() == pytest.approx(0.0 - 1.0 - 10.0 + 1500.0, rel=1e-5)


def test_elements_that_are_not_live_get_no_gradient():
    x = torch.tensor([1.6, 1.6], requires_grad=True)
    log_scale = torch.zeros(2, requires_grad=True)
    y = replace_learned(x, torch.tensor([1.5, 1.5]), log_scale, torch.tensor(0.0), torch.tensor(9.0),
                        torch.tensor(0.0), live=torch.tensor([True, False]))
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 0.0] and log_scale.grad.tolist() == pytest.approx([-0.1, 1.5])


def test_training_starts_at_the_calibrated_codes(coarse):
    started = QuantizedTraining(coarse).lower()
    for name, draft in coarse.drafts.items():
        assert started.drafts[name].weight.equal(draft.weight), name
    assert started.quantities.keys() == coarse.quantities.keys()
    wanted, found = coarse.model(OTHERS), started.model(OTHERS)
    assert (wanted - found).abs().max() <= 0.01 * wanted.abs().max()  # biases pass through float32


@pytest.mark.parametrize("options", [{"w_bits": 2, "a_bits": 2}, {"w_bits": 8, "a_bits": 8, "granularity": "group"},
                                     {"w_bits": 4, "a_bits": 4, "method": "ptq4vit", "granularity": "layer"}])
def test_the_graph_computes_what_it_lowers_to(tiny, options):
    """Every parameter is learned, and with other parameters the logits are still those of the integer model."""
    model = QuantizedTraining(quantize_with_scales(tiny, CALIBRATION, **options))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.02 * torch.randn(parameter.shape, generator=generator)
    logits, lowered = model(OTHERS), model.lower()
    wanted = lowered.quantities["head"].decode(lowered.model(OTHERS))
    torch.testing.assert_close(logits.to(torch.float64), wanted, rtol=1e-5, atol=1e-6)
    logits.square().sum().backward()
    silent = [name for name, parameter in model.named_parameters() if not parameter.grad.abs().max() > 0]
    assert silent == []


@pytest.mark.parametrize("name", FAMILIES)
def test_the_graph_of_every_family_computes_what_it_lowers_to(name):
    model = QuantizedTraining(quantize_with_scales(family(name), CALIBRATION))
    lowered = model.lower()
    wanted = lowered.quantities["head"].decode(lowered.model(OTHERS))
    torch.testing.assert_close(model(OTHERS).to(torch.float64), wanted, rtol=1e-5, atol=1e-6)


def test_rounding_is_all_that_values_differ_by(tiny, monkeypatch):
    """Inside the range of the codes, the value of the integers is about half a step from what the graph computes."""
    lowered, seen = quantize_with_scales(tiny, CALIBRATION, w_bits=4, a_bits=4, edge_bits=4), []

    def spy(x, value, log_scale, low, high, offset, **options):
        step = (high - low) / 15  # or less
        seen.append(((value - x).abs() * ((x > low) & (x < high)) / step).max().item())
        return replace_learned(x, value, log_scale, low, high, offset, **options)

    monkeypatch.setattr(model_module, "replace_learned", spy)
    QuantizedTraining(lowered)(OTHERS)
    assert len(seen) == 17 and max(seen) < 0.65, seen


def test_scales_follow_their_parameters(coarse):
    model = QuantizedTraining(coarse)
    with torch.no_grad():
        model.scales["blocks_0_attn_q"][1] = 1.0
        model.weight_scales["blocks_0_mlp_fc1"][2] = -1.0
    lowered = model.lower()
    head_dim = coarse.source.config.head_dim
    ratio = lowered.quantities["blocks.0.attn.q"].scale / coarse.quantities["blocks.0.attn.q"].scale
    assert ratio[head_dim:2 * head_dim].tolist() == pytest.approx([2.718281828] * head_dim)
    assert ratio[:head_dim].tolist() == [1.0] * head_dim
    units = lowered.drafts["blocks.0.mlp.fc1"].unit / coarse.drafts["blocks.0.mlp.fc1"].unit
    assert float(units[2]) == pytest.approx(1 / 2.718281828) and float(units[1]) == 1.0


def test_training_improves_and_repeats(tiny, coarse):
    epochs = []
    tuned = fine_tune(coarse, tiny, TRAIN, SHORT, on_epoch=lambda *row: epochs.append(row))
    assert [number for number, _, _ in epochs] == [1, 2, 3] and epochs[-1][1] < epochs[0][1]
    assert accuracy(tuned.model, TRAIN) > accuracy(coarse.model, TRAIN) + 0.03
    again = fine_tune(coarse, tiny, TRAIN, SHORT)
    assert tuned.model(OTHERS).equal(again.model(OTHERS))


def test_binary_weights(tiny):
    """Post-training they are of no use; training makes them one."""
    binary = quantize_with_scales(tiny, CALIBRATION, w_bits=1, a_bits=4)
    tuned = fine_tune(binary, tiny, TRAIN, replace(SHORT, epochs=8, learning_rate=5e-3))
    for lowered in (binary, tuned):
        mlp, head = lowered.model.blocks[0].mlp, lowered.model.head
        assert mlp.fc1.weight.unique().tolist() == mlp.fc2.weight.unique().tolist() == [-1, 1] and mlp.fc1.w_bits == 2
        assert len(head.weight.unique()) > 20
    assert accuracy(tuned.model, TRAIN) > max(0.6, accuracy(binary.model, TRAIN) + 0.2)


def test_labels_count_as_much_as_distillation_leaves(tiny, coarse):
    data = replace(TRAIN, images=TRAIN.images[:64], labels=TRAIN.labels[:64])
    wrong = replace(data, labels=(data.labels + 1) % 10)
    once = replace(SHORT, epochs=1)

    def logits(labelled, share):
        return fine_tune(coarse, tiny, labelled, once, Tuning(distillation=share)).model(OTHERS)

    assert logits(data, 1.0).equal(logits(wrong, 1.0)) and not logits(data, 0.5).equal(logits(wrong, 0.5))
    assert not logits(data, 1.0).equal(logits(data, 0.5))


def test_recipes_of_tuning():
    recipe = recipe_for("tiny", TUNING_RECIPES, epochs=2)
    assert recipe.epochs == 2 and recipe.weight_decay == 0 and recipe.shift == RECIPES["tiny"].shift
    assert TUNING_RECIPES.keys() == RECIPES.keys()
    with pytest.raises(ValueError, match=f"config to train must be one of {', '.join(map(repr, RECIPES))}, not 'huge'"):
        recipe_for("huge", TUNING_RECIPES)


def test_power_of_two_scales_are_refused(tiny):
    lowered = quantize_with_scales(tiny, CALIBRATION, method="p2_vit")
    with pytest.raises(ValueError, match="method must be one without power-of-two scales, not 'p2_vit'"):
        QuantizedTraining(lowered)


def test_distillation_tokens_are_refused(tiny):
    model = VisionTransformer(replace(tiny.config, distilled=True)).eval()
    with pytest.raises(ValueError, match="must have one head, not one for the distillation token as well"):
        QuantizedTraining(quantize_with_scales(model, CALIBRATION))


def test_freezer_holds_what_swings():
    freezer = Freezer(momentum=0.2)
    freezer.threshold = 0.3
    for step in range(12):
        swinging = 1 if step % 3 == 2 else 0  # at 0 two times of three
        codes = freezer("fc1", torch.tensor([swinging, step, -3]), learning=True)
    assert freezer.live("fc1").tolist() == [False, True, True] and freezer.share() == pytest.approx(1 / 3)
    assert codes.tolist() == [0, 11, -3]
    assert freezer("fc1", torch.tensor([1, 5, 1]), learning=False).tolist() == [0, 5, 1]
    assert freezer("fc2", torch.tensor([1]), learning=False).tolist() == [1] and freezer.live("fc2") is None


def test_a_rest_between_two_changes_does_not_hide_the_swing():
    freezer = Freezer(momentum=0.2)
    freezer.threshold = 0.3
    for step in range(16):
        freezer("fc1", torch.tensor([step // 2 % 2]), learning=True)
    assert freezer.share() == 1


def test_the_running_average_shares_the_freezer(coarse):
    freezer = Freezer()
    assert copy.deepcopy(QuantizedTraining(coarse, freezer)).freezer is freezer


def test_nothing_freezes_at_threshold_one_or_without_learning():
    freezer = Freezer(momentum=0.5)
    for step in range(20):
        freezer("fc1", torch.tensor([step % 2]), learning=True)
    assert freezer.share() == 0
    freezer.threshold = 0.1
    for step in range(20):
        freezer("fc1", torch.tensor([step % 2]), learning=False)
    assert freezer.share() == 0


def test_threshold_falls_from_the_middle_on():
    tuning = Tuning(freeze_from=0.5, freeze_threshold=0.01)
    assert tuning.threshold(0.49) == 1.0 and tuning.threshold(0.5) == pytest.approx(0.04)
    assert tuning.threshold(0.75) == pytest.approx(0.025) and tuning.threshold(1.0) == pytest.approx(0.01)
    assert Tuning(freeze_from=1.0).threshold(0.99) == 1.0


@pytest.mark.parametrize("name", ["distillation", "freeze_from", "freeze_threshold"])
def test_rejected_tuning(name):
    with pytest.raises(ValueError, match=f"{name} must be between 0 and 1, not 1.5"):
        Tuning(**{name: 1.5})
    with pytest.raises(ValueError, match="momentum must be above 0 and below 1, not 0"):
        Freezer(momentum=0)
