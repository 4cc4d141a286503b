"""``bench.real_network`` on a small network and a file of pictures, and what it says of files that are none."""

import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from vitric.golden.errors import UserError
from vitric.golden.spec.vit import VitConfig
from vitric.golden.vit import VisionTransformer

from bench.real_network import main, read_pictures, scaled_snr

CONFIG = VitConfig(image_size=8, patch_size=4, in_chans=3, num_classes=3, embed_dim=64, depth=1, num_heads=1,
                   mlp_ratio=1.0)


@pytest.fixture
def files(tmp_path):
    torch.manual_seed(1)
    model = VisionTransformer(CONFIG)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    save_file(model.state_dict(), tmp_path / "vit.safetensors")
    random = np.random.default_rng(1)
    np.savez(tmp_path / "pictures.npz", train_x=random.integers(0, 256, (40, 6, 6, 3), dtype=np.uint8),
             test_x=random.integers(0, 256, (20, 6, 6, 3), dtype=np.uint8), test_y=random.integers(0, 3, 20))
    return tmp_path


def test_rows(files, capsys):
    main([str(files / "vit.safetensors"), str(files / "pictures.npz"), "--method", "mse", "--method", "minmax",
          "--bits", "8,8", "--bits", "3,4", "--calibration", "24", "--test", "4:16", "--json", str(files / "a.json")])
    found = json.loads((files / "a.json").read_text())
    rows = found["rows"]
    assert [(row["method"], row["w_bits"], row["a_bits"]) for row in rows] == [
        ("mse", 8, 8), ("mse", 3, 4), ("minmax", 8, 8), ("minmax", 3, 4)]
    assert all(row["calibration"] == 24 and row["agrees"] * 12 == round(row["agrees"] * 12) for row in rows)
    assert rows[0]["snr_db"] > rows[1]["snr_db"] + 5 and rows[0]["agrees"] >= 11 / 12
    out = capsys.readouterr().out.splitlines()
    assert out[0].endswith("on 12 pictures, calibrated on 24") and len(out) == 5


def test_ratio_by_hand():
    assert scaled_snr(torch.tensor([3.0, 4.0]), torch.tensor([6.0, 8.0])) > 200  # the scale does not count
    assert scaled_snr(torch.tensor([3.0, 4.0]), torch.tensor([0.0, 5.0])) == pytest.approx(10 * math.log10(25 / 9))


@pytest.mark.parametrize(("arrays", "message"), [
    (None, "pictures.npz does not exist: give an .npz file with train_x, test_x, test_y"),
    ({"train_x": (4, 6, 6, 3), "test_x": (4, 6, 6, 3)}, "has no array test_y; it needs train_x, test_x, test_y"),
    ({"train_x": (4, 108), "test_x": (4, 6, 6, 3), "test_y": (4,)}, "train_x of .* must be integers with 4 axes"),
    ({"train_x": (4, 6, 6, 3), "test_x": (2, 6, 6, 3), "test_y": (2,)}, "--test 2:4 leaves none of 2 pictures"),
    ({"train_x": (2, 6, 6, 3), "test_x": (4, 6, 6, 3), "test_y": (4,)}, "--calibration must be between 1 and 2, not 3"),
])
def test_what_is_missing_is_named(tmp_path, arrays, message):
    path = tmp_path / "pictures.npz"
    if arrays is not None:
        np.savez(path, **{name: np.zeros(shape, dtype=np.uint8) for name, shape in arrays.items()})
    with pytest.raises(UserError, match=message):
        read_pictures(path, 8, calibration=3, test=slice(2, 4))


def test_a_file_that_is_none(tmp_path):
    (tmp_path / "pictures.npz").write_bytes(b"PK\x03\x04 no")
    with pytest.raises(UserError, match="pictures.npz is no .npz file of numbers"):
        read_pictures(tmp_path / "pictures.npz", 8, calibration=1, test=slice(0, 1))
