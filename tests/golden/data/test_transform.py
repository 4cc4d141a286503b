"""From image files to pixels: timm's and Hugging Face's transforms, other kinds of pixels, and damaged files."""

import random
import re
from math import floor

import numpy as np
import pytest
import torch
from PIL import Image
from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil
from vitric.golden.data.transform import EvalTransform, resize_for_crop

from tests.golden.data.large_png import write_large_png


@pytest.mark.parametrize("size", [(300, 200), (200, 303), (64, 64), (331, 500)])
def test_transform_is_timms(tmp_path, size):
    """Resize(floor(224 / 0.9)) of the shorter side, bicubic, CenterCrop(224), as torchvision's code says."""
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    height, width = size
    short = floor(224 / 0.9)
    assert short == 248
    new = (short, int(short * height / width)) if width <= height else (int(short * width / height), short)
    resized = np.array(Image.fromarray(pixels).resize(new, Image.Resampling.BICUBIC))
    top, left = (int(round((side - 224) / 2.0)) for side in resized.shape[:2])
    wanted = resized[top:top + 224, left:left + 224].transpose(2, 0, 1)
    got = EvalTransform(image_size=224)(tmp_path / "a.png")
    assert got.dtype == torch.uint8 and got.shape == (3, 224, 224)
    assert np.array_equal(got.numpy(), wanted)
    other = EvalTransform(image_size=224, interpolation="bilinear")(tmp_path / "a.png")
    assert not other.equal(got)


def test_transform_of_other_kinds_of_pixels(tmp_path):
    Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4) * 10).save(tmp_path / "grey.png")
    whole = {"image_size": 4, "resize": 4}
    grey = EvalTransform(**whole, in_chans=1)(tmp_path / "grey.png")
    assert grey.tolist() == [[[0, 10, 20, 30], [40, 50, 60, 70], [80, 90, 100, 110], [120, 130, 140, 150]]]
    assert EvalTransform(**whole)(tmp_path / "grey.png").equal(grey.expand(3, -1, -1))  # grey as RGB
    Image.fromarray(np.dstack([np.full((4, 4), v, np.uint8) for v in (9, 8, 7, 0)])).save(tmp_path / "alpha.png")
    assert EvalTransform(**whole)(tmp_path / "alpha.png")[:, 0, 0].tolist() == [9, 8, 7]


@pytest.mark.parametrize(("change", "message"), [
    ({"image_size": 0}, "image_size must be between 1 and 1024"), ({"in_chans": 2}, "in_chans .* must be one of 1, 3"),
    ({"resize": 3}, "resize must be between 4 and 4096, not 3"), ({"resize": 4097}, "not 4097"),
    ({"interpolation": "cubic"}, "interpolation must be one of 'nearest', .*'bilinear', .* not 'cubic'"),
])
def test_illegal_transform(change, message):
    with pytest.raises(ValueError, match=message):
        EvalTransform(**{"image_size": 4} | change)


def test_timms_size_to_resize_to():
    assert [resize_for_crop(224, crop_pct) for crop_pct in (0.9, 0.875, 0.95, 1.0)] == [248, 256, 235, 224]
    for crop_pct in (0.0, 1.1, float("nan")):
        with pytest.raises(ValueError, match=f"crop_pct must be above 0 and at most 1, not {crop_pct}"):
            resize_for_crop(224, crop_pct)


def processed(processor, path):
    """Return what one of Hugging Face's processors makes of an image file, before it rescales and normalises."""
    with Image.open(path) as picture:
        return processor(picture, do_rescale=False, do_normalize=False, return_tensors="np")["pixel_values"][0]


@pytest.mark.parametrize("size", [(37, 50), (50, 38), (16, 16)])
@pytest.mark.parametrize("resample", [0, 1, 2, 3, 4, 5])
def test_hugging_faces_processors(tmp_path, size, resample):
    """Both sides to one size, with and without a crop of an odd number of pixels; the filters' numbers are Pillow's."""
    pixels = np.random.default_rng(2).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    common = {"image_size": 16, "squash": True, "interpolation": Image.Resampling(resample).name.lower()}
    square = ViTImageProcessorPil(size={"height": 16, "width": 16}, resample=resample)
    got = EvalTransform(**common, resize=16)(tmp_path / "a.png")
    assert np.array_equal(got.numpy(), processed(square, tmp_path / "a.png"))
    for side in (17, 19, 21):
        cropped = DeiTImageProcessorPil(size={"height": side, "width": side}, crop_size={"height": 16, "width": 16},
                                        resample=resample)
        got = EvalTransform(**common, resize=side, centre_down=True)(tmp_path / "a.png")
        assert np.array_equal(got.numpy(), processed(cropped, tmp_path / "a.png"))


@pytest.mark.parametrize("mode", ["I;16", "I;16B"])
@pytest.mark.parametrize("channels", [1, 3])
def test_grey_of_sixteen_bits_keeps_the_upper_ones(tmp_path, mode, channels):
    ramp = np.linspace(0, 65535, 256).astype(">u2" if mode == "I;16B" else "<u2").reshape(16, 16)
    path = tmp_path / ("ramp.tif" if mode == "I;16B" else "ramp.png")
    Image.frombytes(mode, (16, 16), ramp.tobytes()).save(path)
    with Image.open(path) as picture:
        assert picture.mode == mode
    got = EvalTransform(image_size=16, in_chans=channels, resize=16)(path)
    assert got.shape == (channels, 16, 16) and got.flatten(1)[-1].tolist() == list(range(256))


def test_pixels_of_thirty_two_bits_are_refused(tmp_path):
    Image.new("F", (8, 8), 0.5).save(tmp_path / "float.tif")
    with pytest.raises(ValueError, match=r"float.tif cannot be read as an image: .* 8 or 16 bits, not 32 .*mode F"):
        EvalTransform(image_size=8)(tmp_path / "float.tif")


@pytest.mark.parametrize("side", [10_000, 14_000])  # more than Pillow warns of, and more than it reads
def test_pictures_of_too_many_pixels(tmp_path, side):
    path = tmp_path / "large.png"
    write_large_png(path, side)
    with pytest.raises(ValueError, match="large.png cannot be read as an image: Image size .* exceeds limit"):
        EvalTransform(image_size=8)(path)


def test_a_picture_that_resizing_makes_large(tmp_path):
    Image.new("L", (1, 2_000_000)).save(tmp_path / "line.png")
    with pytest.raises(ValueError, match="line.png cannot be read as an image: resized to 248x496000000 it exceeds"):
        EvalTransform(image_size=224)(tmp_path / "line.png")


@pytest.mark.parametrize("form", ["BMP", "JPEG", "PNG", "PPM", "WEBP"])
def test_damaged_pictures_are_read_or_refused(tmp_path, form):
    path, chance, transform = tmp_path / "a", random.Random(form), EvalTransform(image_size=4)
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(path, form)
    whole, refused = path.read_bytes(), 0
    for _ in range(150):
        content = bytearray(whole[:chance.choice([len(whole), chance.randrange(len(whole))])])
        for _ in range(chance.randint(0, 3) if content else 0):
            content[chance.randrange(min(len(content), 64))] = chance.randrange(256)
        path.write_bytes(content)
        try:
            assert transform(path).shape == (3, 4, 4)
        except ValueError as error:
            assert re.fullmatch(r".*/a cannot be read as an image: .+", str(error))
            refused += 1
    assert refused > 30
