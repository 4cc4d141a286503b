"""The studies that run a model, on few images of the smallest network."""

import json

import pytest
import torch
from vitric.compiler.compile import compile_model
from vitric.compiler.cycles import predict
from vitric.flow.inputs.sources import ROOT
from vitric.flow.studies import calibration, evaluate, granularity, methods, pruning
from vitric.flow.studies.evaluate import base_case, calibration_pool, lowered, standard_error
from vitric.golden import digits, load_float, quantize
from vitric.golden.errors import UserError
from vitric.golden.quantization import quantize_with_scales, reference
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.train import accuracy

IMAGES = 40
BASE = {"config": "tiny", "data": "digits", "images": IMAGES}


pytestmark = pytest.mark.usefixtures("one_thread")


def test_methods_measures_what_it_says():
    case = {"method": "percentile", "w_bits": 3, "a_bits": 4, **BASE, "calibration_images": 64}
    found = methods.STUDY.run(case)
    train, test = digits("train"), digits("test")
    model = quantize_with_scales(load_float("tiny"), train[:64], method="percentile", w_bits=3, a_bits=4)
    right = model.model(test[:IMAGES]).argmax(1) == test.labels[:IMAGES]
    assert found["integer"] == round(float(right.double().mean()), 6)
    right = load_float("tiny")(test[:IMAGES]).argmax(1) == test.labels[:IMAGES]
    assert found["float"] == round(float(right.double().mean()), 6)
    wanted = reference(model, train[-400:])["head"][:, 0]
    error = model.quantities["head"].scale * model.model(train[-400:]) - wanted
    ratio = 10 * torch.log10(wanted.square().sum() / error.square().sum())
    assert found["logit_snr_db"] == pytest.approx(float(ratio), abs=0.006)
    assert set(found) == {"float", "simulated", "integer", "logit_snr_db"} and 0.2 < found["simulated"] <= 1
    assert methods.STUDY.run(case) == found
    assert {"method", "w_bits", "a_bits", "data"} < set(methods.STUDY.cases("tiny", IMAGES)[0])


def test_what_a_method_cannot_express_has_a_reason(monkeypatch):
    def fail(*arguments, **options):
        raise ValueError("blocks.0.attn.scores: too large")

    monkeypatch.setattr(methods, "lowered", fail)
    case = {"method": "mse", "w_bits": 2, "a_bits": 2, **BASE, "calibration_images": 64}
    record = {**case, **methods.STUDY.run(case)}
    assert record["integer"] is record["simulated"] is None and record["float"] > 0.9
    table = methods.STUDY.table([record])
    assert "* mse at W2A2: blocks.0.attn.scores: too large\n" in table and "– (–)" in table


def test_table_of_methods():
    records = [{"method": method, "w_bits": bits, "a_bits": bits, **BASE, "calibration_images": 64, "float": 0.9,
                "simulated": 0.85, "integer": 0.8 + bits / 100, "logit_snr_db": 3.0 * bits}
               for method in ("mse", *methods.PUBLISHED) for bits in (4, 3)]
    table = methods.STUDY.table(records)
    assert "| erq      | 84.00 (85.00) | 83.00 (85.00) |\n" in table and "| mse      | 12.0 |  9.0 |\n" in table
    assert "One image is 2.50 points; the standard error" in table and "is 4.74 points" in table
    assert standard_error(0.9, IMAGES) == pytest.approx(0.0474, abs=1e-4)
    order = methods.published_order(records)
    cells = [cell.strip() for cell in order.splitlines()[2].split("|")[1:-1]]
    assert cells == ["erq", "74.35", "84.00", "83.00", "12.0", "9.0"] and len(order.splitlines()) == 7


def test_draws_of_calibration_images():
    case = {"method": "mse_plain", "w_bits": 4, "a_bits": 4, **BASE, "calibration_images": 5, "draw": 1}
    found = calibration.STUDY.run(case)
    generator = torch.Generator().manual_seed(1)
    pool = digits("train")[:-400]
    chosen = torch.randperm(len(pool), generator=generator)[:5]
    model = quantize(load_float("tiny"), pool[chosen], method="mse_plain")
    test = digits("test")
    share = float((model(test[:IMAGES]).argmax(1) == test.labels[:IMAGES]).double().mean())
    assert found["integer"] == round(share, 6)
    assert calibration.STUDY.run({**case, "draw": 2}) != found
    assert len(calibration_pool("digits")) == len(digits("train")) - 400


def test_enough_images():
    draws = {1: [0.5, 0.9], 2: [0.97, 0.98], 5: [0.94, 0.98], 10: [0.968, 0.976], 20: [0.97, 0.98], 100: [0.97, 0.98]}
    assert calibration.enough(draws) == 10  # 2 does not count: 5 loses 1.5 points, and 3.5 at worst
    assert calibration.enough({1: [0.97, 0.97], 2: [0.97, 0.98], 100: [0.97, 0.98]}) == 1
    assert calibration.enough({50: [0.955, 0.99], 100: [0.97, 0.98]}) == 100  # the worst draw


def test_table_of_calibration_prints_what_is_enough():
    records = [{"method": "mse", "w_bits": 4, "a_bits": 4, **BASE, "float": 0.9, "calibration_images": count,
                "draw": draw, "integer": 0.8 + 0.01 * draw + (count > 1) / 20, "logit_snr_db": 9.0 + draw}
               for count in (1, 2, 5) for draw in range(2)]
    table = calibration.STUDY.table(records)
    assert "**Enough:** 2 for `mse`." in table
    cells = [cell.strip() for cell in table.splitlines()[4].split("|")[1:-1]]
    assert cells == ["mse", "1", "80.50", "0.71", "80.00", "81.00", "9.5", "0.7"]


def test_cost_of_granularity():
    case = {"method": "minmax", "granularity": "group", "w_bits": 4, "a_bits": 4, **BASE}
    found = granularity.STUDY.run(case)
    model = quantize(load_float("tiny"), calibration_pool("digits")[:64], method="minmax", granularity="group")
    compiled = compile_model(model, SPECS["tiny"])
    assert found["stream_bytes"] == len(compiled.stream.data)
    assert found["cycles"] == predict(compiled.stream.commands(), compiled.spec).cycles
    test = digits("test")
    assert found["integer"] == pytest.approx(
        float((model(test[:IMAGES]).argmax(1) == test.labels[:IMAGES]).double().mean()), abs=1e-6)
    channel = granularity.STUDY.run({**case, "granularity": "channel"})
    # q, k, v, proj and fc2 have 16 output channels (2 groups of 8), fc1 32, the patch embedding 16, the head 10
    assert found["weight_scales"] == 5 * 2 + 4 + 2 + 2 and channel["weight_scales"] == 5 * 16 + 32 + 16 + 10
    assert "| W4A4 | minmax | group       |" in granularity.STUDY.table([{**case, **found}])


def test_area_comes_from_the_unit_bench(monkeypatch):
    rows = json.loads((ROOT / "docs" / "units" / "figures.json").read_text())["rows"]
    areas = {row["settings"].get("multiplier_bits", 16): row["lut_eq_per_lane"] for row in rows
             if row["unit"] == "requantize" and row["device"] == "ecp5-85k" and "bias_bits" in row["settings"]}
    assert areas == {16: granularity.lut_per_lane(multiplier=True), 0: granularity.lut_per_lane(multiplier=False)}
    monkeypatch.setattr(granularity, "_DEVICE", "none")
    with pytest.raises(UserError, match="must have a row of requantize .* on none; run make bench-units"):
        granularity.lut_per_lane(multiplier=True)


def test_pruning_with_quantization():
    cases = {kind: {"pruning": kind, "method": "mse", "w_bits": 4, "a_bits": 4, **BASE, "epochs": epochs, "seed": 0}
             for kind, epochs in ((pruning.AS_TRAINED, 0), ("dense", 1), ("2:4 and heads", 1))}
    kept, dense, pruned = (pruning.STUDY.run(case) for case in cases.values())
    assert kept["float"] == kept["pruned"] == dense["float"] == pruned["float"] and pruned["pruned"] < kept["pruned"]
    assert dense["logit_snr_db"] != kept["logit_snr_db"]  # was trained further
    assert dense["model_bytes"] == kept["model_bytes"] and dense["cycles"] == kept["cycles"]
    # half of the weights, and of qkv's and proj's the half that belongs to one of two heads; 4 bits and 2 of position
    weights = 3 * 16 * 16 + 16 * 16 + 2 * 16 * 32  # qkv, proj, fc1, fc2 of the one block
    saved = weights * 4 - (weights // 2 - (3 * 16 * 16 + 16 * 16) // 4) * 6
    constants = 4 * 8 * 8  # q, k, v and context of 8 channels
    assert dense["model_bytes"] - pruned["model_bytes"] == pytest.approx(saved // 8 + constants, abs=64)
    assert pruned["cycles"] < dense["cycles"] and pruned["stream_bytes"] < dense["stream_bytes"]
    assert "| 2:4 and heads |" in pruning.STUDY.table([{**cases["2:4 and heads"], **pruned}])
    assert [case["epochs"] for case in pruning.STUDY.cases("tiny", 5)] == [0, 20, 20, 20, 20, 20]


@pytest.mark.parametrize("images", [0, 361])
def test_images_out_of_range(images):
    with pytest.raises(UserError, match=f"--images must be between 1 and 360, .* of digits, not {images}"):
        base_case("tiny", images)


def test_missing_data_set_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("VITRIC_FASHION", str(tmp_path / "nowhere"))
    evaluate._split.cache_clear()
    with pytest.raises(UserError, match="Fashion-MNIST is not in .*nowhere"):
        base_case("fashion", None)


def test_models_are_kept_in_memory():
    options = {"method": "minmax", "w_bits": 4, "a_bits": 4}
    assert lowered("tiny", options) is lowered("tiny", dict(reversed(options.items())))
    assert lowered("tiny", options, [0, 1]) is not lowered("tiny", options)
    assert accuracy(lowered("tiny", options).model, digits("test")) > 0.8
