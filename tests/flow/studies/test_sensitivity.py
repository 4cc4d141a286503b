"""Parts of a network, and causes that are planted in it."""

import copy

import pytest
import torch
from vitric.flow.studies.causes import CAUSES, diagnose
from vitric.flow.studies.evaluate import lowered
from vitric.flow.studies.sensitivity import EVERYTHING, KINDS, STUDY, parts
from vitric.golden import digits, load_float
from vitric.golden.quantization import quantize_with_scales, reference, simulate
from vitric.golden.spec.arithmetic import Arithmetic

CALIBRATION, OTHERS = digits("train")[:64], digits("train")[100:164]
BASE = {"config": "tiny", "data": "digits", "images": 60, "method": "mse", "w_bits": 3, "a_bits": 3}


pytestmark = pytest.mark.usefixtures("one_thread")


def test_every_tensor_and_layer_is_in_one_kind_and_one_layer():
    model = quantize_with_scales(load_float("digits"), CALIBRATION, method="minmax")
    names = [*reference(model, OTHERS[:1]), *(f"{layer}.weight" for layer in model.drafts)]
    network = parts(len(model.model.blocks))
    kinds = {name: [part for part in KINDS if network[part](name)] for name in names}
    layers = {name: [part for part, belongs in network.items() if part not in (*KINDS, EVERYTHING) and belongs(name)]
              for name in names}
    assert {name for name, found in kinds.items() if len(found) != 1} == {"head"}  # the logits are never rounded
    assert {name for name, found in layers.items() if len(found) != 1} == {"head"}
    assert kinds["blocks.1.mlp.fc1.weight"] == ["weights"] and layers["blocks.1.norm2"] == ["blocks.1.mlp"]
    assert {name for name in names if not network[EVERYTHING](name)} == {"head"}


def test_one_part_and_all_but_it():
    whole = STUDY.run({**BASE, "part": EVERYTHING, "mode": "only"})
    only = STUDY.run({**BASE, "part": "keys", "mode": "only"})
    rest = STUDY.run({**BASE, "part": "keys", "mode": "all but"})
    assert only["logit_snr_db"] > rest["logit_snr_db"] > whole["logit_snr_db"]
    model = lowered("tiny", {name: BASE[name] for name in ("method", "w_bits", "a_bits")})
    test = digits("test")
    rounded = simulate(model, test[:60], lambda name: name.endswith(".k"))["head"][:, 0]
    assert only["accuracy"] == round(float((rounded.argmax(1) == test.labels[:60]).double().mean()), 6)
    wanted = reference(model, test[:60])["head"][:, 0]
    ratio = 10 * torch.log10(wanted.square().sum() / (wanted - rounded).square().sum())
    assert only["logit_snr_db"] == pytest.approx(float(ratio), abs=0.006)
    assert ("cause" in only) == (only["accuracy"] <= only["float"] - 0.02)
    assert "cause" in STUDY.run({**BASE, "part": "LayerNorm outputs", "mode": "only"})
    assert "cause" not in whole and "cause" not in rest


def changed(change):
    model = copy.deepcopy(load_float("tiny"))
    with torch.no_grad():
        change(dict(model.named_parameters()))
    return model


def cause(model, calibration, only, **options):
    symptom = diagnose(quantize_with_scales(model, calibration, **options), OTHERS, only)
    assert symptom.cause in CAUSES and str(symptom).startswith(f"{symptom.cause}: {symptom.tensor}, ")
    return symptom


def is_norm(name):
    return name.endswith(".norm1")


def test_outlier_channel():
    def grow(parameters):
        parameters["blocks.0.norm1.weight"][3] *= 40
        parameters["blocks.0.attn.qkv.weight"][:, 3] /= 40

    plain = cause(load_float("tiny"), CALIBRATION, is_norm, method="mse_plain", a_bits=4)
    assert plain.cause == "few codes"
    found = cause(changed(grow), CALIBRATION, is_norm, method="minmax", a_bits=4)
    assert (found.cause, found.tensor) == ("outlier channel", "blocks.0.norm1")
    assert cause(changed(grow), CALIBRATION, is_norm, method="repq_vit", a_bits=4).cause == "few codes"


def test_calibration_range():
    black = torch.zeros_like(CALIBRATION[:4])
    for images in (black, CALIBRATION[:1] // 8):
        found = cause(load_float("tiny"), images, lambda name: name.endswith(".v"), method="minmax", a_bits=6)
        assert found.cause == "calibration range" and found.tensor == "blocks.0.attn.v"


def test_softmax_code():
    found = cause(load_float("tiny"), CALIBRATION, lambda name: name.endswith("softmax"), method="fq_vit", a_bits=4)
    assert (found.cause, found.tensor) == ("softmax code", "blocks.0.attn.softmax")


def test_residual_width():
    def grow(parameters):
        parameters["pos_embed"][0, 2] *= 3000

    narrow = Arithmetic(residual_bits=10)
    found = cause(changed(grow), CALIBRATION, lambda name: name.endswith(("proj", "fc2")), spec=narrow)
    assert found.cause == "residual width"


def test_weights_have_no_error_of_their_own():
    model = quantize_with_scales(load_float("tiny"), CALIBRATION)
    assert diagnose(model, OTHERS, lambda name: name.endswith("weight")) is None


def test_table():
    records = [{**BASE, "part": part, "mode": mode, "float": 0.9, "accuracy": 0.8, "logit_snr_db": value}
               for part, mode, value in [(EVERYTHING, "only", 1.0), ("keys", "only", 5.0), ("keys", "all but", 3.0),
                                         ("values", "only", 7.0), ("values", "all but", 2.0), ("head", "only", 9.0),
                                         ("head", "all but", 1.5)]]
    records[1]["cause"] = "few codes: blocks.0.attn.k"
    table = STUDY.table(records)
    assert "**W3A3, mse**, 1.0 dB with everything rounded. Worst alone: keys, and of the layers head. " in table
    assert "Most gained in float: keys (3.0 dB), head (1.5 dB)." in table
    assert "* keys loses 10.0 points alone: few codes: blocks.0.attn.k.\n" in table
