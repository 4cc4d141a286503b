import io

import numpy as np
import pytest
import torch
from PIL import Image
from vitric.flow.page.images import images

from tests.flow.page.kit import found_in, texts


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    found = found_in(tmp_path_factory.mktemp("tiny"))
    return found, found.golden[0]


def sim(logits):
    return {"images": len(logits), "seed": 1, "logits": logits.tolist()}


def test_every_image_has_its_class_and_the_likely_ones(real):
    found, logits = real
    section = images(found)
    assert texts(section)[0][0] == "vitric sim --project tiny"
    shown = {picture.lines[0]: picture for picture in section.parts[-1].pictures}
    assert len(shown) == 32
    for number, label in enumerate(found.images.labels.tolist()):
        picture = shown[f"image {number}: {label}"]
        assert picture.lines[1].split()[0] == str(int(logits[number].argmax()))
        pixels = np.asarray(Image.open(io.BytesIO(picture.png)))
        assert (pixels == found.images.images[number, 0].numpy()).all()
        assert (picture.tone == "bad") == (int(logits[number].argmax()) != label)


def test_attention_is_that_of_the_class_token(tmp_path):
    found = found_in(tmp_path, "digits")  # several blocks: all tokens look somewhere but in the last one
    vit, trace = found.project.vit, found.golden[1]
    picture = next(p for p in images(found).parts[-1].pictures if p.lines[0].startswith("image 5:"))
    sheet = np.asarray(Image.open(io.BytesIO(picture.more)))
    side = vit.image_size // vit.patch_size
    assert sheet.shape == (vit.depth * (side + 1) - 1, vit.num_heads * (side + 1) - 1)
    for head in range(vit.num_heads):
        codes = trace["blocks.0.attn.softmax"][5, head, 0, 1:].double()
        found_map = sheet[:side, head * (side + 1):head * (side + 1) + side].reshape(-1)
        assert found_map.tolist() == (codes / codes.max() * 255).to(torch.uint8).tolist()


def test_images_that_the_hardware_had_otherwise_come_first(real, tmp_path):
    wrong = real[1].clone()
    wrong[9, 3] += 1
    section = images(found_in(tmp_path, sim=sim(wrong)))
    first, second = section.parts[-1].pictures[:2]
    assert first.lines[0].startswith("image 9:") and first.tone == "bad" and "hardware: other logits" in first.lines
    assert "hardware: other logits" not in second.lines
