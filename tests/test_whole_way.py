"""From a checkpoint of Hugging Face's and a folder of pictures to a bitstream, with the real tools."""

import json
from contextlib import chdir

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner
from vitric.flow.cli import app

from tests.torchvision_kit import import_torchvision

LABELS = ("bird", "cat", "dog")


def run(*arguments):
    done = CliRunner().invoke(app, [*map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done.output


def write_checkpoint(folder):
    import_torchvision()
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(7)
    ViTForImageClassification(ViTConfig(
        hidden_size=20, num_hidden_layers=1, num_attention_heads=2, intermediate_size=30, image_size=12, patch_size=4,
        initializer_range=0.3, id2label=dict(enumerate(LABELS)), label2id={name: k for k, name in enumerate(LABELS)},
    )).save_pretrained(folder)


def write_pictures(folder):
    noise = np.random.default_rng(2)
    for split, count in (("train", 6), ("val", 3)):
        for name in LABELS:
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = noise.integers(0, 256, (15, 17, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / split / name / f"{number}.png")


@pytest.mark.long
def test_from_a_checkpoint_and_pictures_to_a_bitstream(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_checkpoint(tmp_path / "hf")
    write_pictures(tmp_path / "pictures")
    run("init", "pets", "--weights", "hf/model.safetensors", "--data", "pictures", "--board", "ulx3s_12f", "--array",
        "tiny")
    run("quantize", "--project", "pets")
    with chdir("pets"):  # there, without options
        run("sim", "--images", 3)
    simulated = json.loads((tmp_path / "pets" / "build" / "sim.json").read_text())
    assert simulated["config"] == "pets" and None not in simulated["accuracy"].values()
    assert simulated["values_differ"] == 0 and simulated["values_compared"] > 1000 and simulated["images"] == 3
    shown = run("run", "--project", "pets", "pictures/val/cat/1.png", "--rtl", "--json", "cat.json")
    figures = json.loads((tmp_path / "cat.json").read_text())
    cat, = figures["images"]
    assert all(name in shown for name in LABELS) and figures["rtl_equal"] is True
    assert [one["logit"] for one in cat["best"]] == sorted(cat["rtl_logits"], reverse=True)
    run("bitstream", "--project", "pets")
    folder = tmp_path / "pets" / "build" / "ulx3s_12f"
    report = json.loads((folder / "report.json").read_text())
    assert report["timing_met"] and report["fmax_mhz"] > report["clock_mhz"] == 50
    assert report["cycles_per_image"] == simulated["cycles_per_image"]
    bits = (folder / "top.bit").read_bytes()
    assert len(bits) > 100_000 and b"LFE5U" in bits[:200]
