import numpy as np
import pytest
import torch
from PIL import Image
from vitric.golden.data.snapshots import snapshot
from vitric.golden.data.transform import EvalTransform

AS_IT_IS = EvalTransform(image_size=8, resize=8)
RAMP = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)


def taken(path, transform=AS_IT_IS):
    pixels, notes = snapshot(path, transform)
    assert pixels.shape == (1, transform.in_chans, 8, 8) and pixels.dtype == torch.uint8
    return pixels[0].permute(1, 2, 0).numpy(), notes


def test_an_ordinary_picture_is_that_of_the_data_set(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    pixels, notes = taken(tmp_path / "a.png")
    assert np.array_equal(pixels, RAMP) and notes == []
    assert np.array_equal(pixels, AS_IT_IS(tmp_path / "a.png").permute(1, 2, 0).numpy())


@pytest.mark.parametrize(("orientation", "turn"), [(3, 2), (6, 3), (8, 1)])
def test_exif_turns_it(tmp_path, orientation, turn):
    picture = Image.fromarray(RAMP)
    exif = picture.getexif()
    exif[0x0112] = orientation
    picture.save(tmp_path / "a.png", exif=exif)
    pixels, notes = taken(tmp_path / "a.png")
    assert np.array_equal(pixels, np.rot90(RAMP, turn)) and notes == ["turned as its Exif data say"]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_is_white(tmp_path, mode):
    picture = Image.new("RGBA", (8, 8), (0, 0, 0, 255))
    picture.putpixel((2, 1), (0, 0, 0, 0))
    picture.convert(mode).save(tmp_path / "a.png")
    pixels, notes = taken(tmp_path / "a.png")
    assert pixels[1, 2].tolist() == [255] * 3 and pixels.sum() == 3 * 255
    assert notes == ["put on white where it is transparent"]


def test_the_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "green")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    pixels, notes = taken(tmp_path / "a.gif")
    assert pixels[0, 0].tolist() == [255, 0, 0] and notes == ["the first of 3 frames"]


def test_sixteen_bits(tmp_path):
    Image.fromarray(np.full((8, 8), 0x81FF, dtype=np.uint16)).save(tmp_path / "a.png")
    pixels, notes = taken(tmp_path / "a.png", EvalTransform(image_size=8, resize=8, in_chans=1))
    assert (pixels == 0x81).all() and notes == ["16 bits became 8"]


def test_what_is_no_picture(tmp_path):
    (tmp_path / "a.png").write_text("a picture")
    with pytest.raises(ValueError, match="cannot be read as an image"):
        taken(tmp_path / "a.png")
