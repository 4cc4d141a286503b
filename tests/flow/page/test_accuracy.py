import json

import pytest
from vitric.flow.page.accuracy import accuracy

from tests.flow.page.kit import found_in, texts

ERROR = {"snr_db": 20.04, "scale": [0.5, 0.5], "zero_point": 8, "saturated": 0.125, "outlier": 2.5}
QUANTIZED = {"tensors": {"patch_embed": ERROR, "blocks.0.norm1": ERROR | {"snr_db": 12.0, "scale": [0.25, 4.0]}}}


def test_errors_of_tensors_are_those_of_the_file(tmp_path):
    ratios, scales, *_ = accuracy(found_in(tmp_path, quantize=QUANTIZED)).parts
    data = ratios.model.renderers[1].data_source.data
    assert list(zip(data["name"], data["db"], data["kind"], strict=True)) == [
        ("patch_embed", 20.04, "residual"), ("blocks.0.norm1", 12.0, "norm")]
    assert scales.rows == [("patch_embed", "20.0", "0.5", "8", "12.5%", "2.5"),
                           ("blocks.0.norm1", "12.0", "0.25 to 4", "8", "12.5%", "2.5")]


def test_rounding_of_one_kind_is_that_of_the_study(tmp_path):
    record = {"method": "mse", "w_bits": 4, "a_bits": 4, "mode": "only", "images": 9, "float": 0.9, "accuracy": 0.8}
    records = [record | {"part": "weights", "logit_snr_db": 28.0}, record | {"part": "keys", "logit_snr_db": 21.0},
               record | {"part": "queries", "logit_snr_db": 9.0, "w_bits": 3},
               record | {"part": "values", "logit_snr_db": 9.0, "mode": "all but"}]
    found = found_in(tmp_path / "build")
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "sensitivity-tiny.json").write_text(json.dumps(records))
    plot = next(part for part in accuracy(found).parts if "alone" in getattr(part, "title", ""))
    data = plot.model.renderers[0].data_source.data
    assert list(zip(data["part"], data["db"], strict=True)) == [("keys", 21.0), ("weights", 28.0)]
    assert data["accuracy"][0] == "80.00% of 9 images, float 90.00%"


def test_histograms_count_every_value_once(tmp_path):
    found = found_in(tmp_path)
    section = accuracy(found)
    assert texts(section)[0] == ("vitric quantize --project tiny", "how far each tensor is from the float model's")
    data = next(part for part in section.parts if part.kind == "plot").model.renderers[0].data_source.data
    for name in found.golden[1]:
        rows = [(float(share[:-1]), codes) for one, share, codes in zip(data["name"], data["share"], data["codes"],
                                                                        strict=True) if one == name]
        assert sum(share for share, _ in rows) == pytest.approx(100, abs=0.01 * len(rows)), name
    pixels = dict((codes, share) for one, share, codes in zip(data["name"], data["share"], data["codes"], strict=True)
                  if one == "input")
    dark = (found.golden[1]["input"] < 8).double().mean().item()
    assert pixels["0 to 8"] == f"{dark:.2%}"
