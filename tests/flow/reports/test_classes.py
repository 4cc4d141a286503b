from io import BytesIO

import pytest
import torch
from PIL import Image
from vitric.flow.reports.classes import picture


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("share", [0.75, None])
def test_picture(channels, share):
    best = [{"label": "a cat", "logit": 9, "probability": share}, {"label": "a dog", "logit": -2, "probability": share}]
    pixels = torch.zeros(3, channels, 8, 8, dtype=torch.uint8)
    one, three = (Image.open(BytesIO(picture(pixels[:count], [{"best": best}] * count))) for count in (1, 3))
    assert one.format == "PNG" and three.height == 3 * one.height and three.width == one.width
    assert picture(pixels, [{"best": best}] * 3) == picture(pixels, [{"best": best}] * 3)
