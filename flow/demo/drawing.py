"""What somebody drew, as pixels of a model that was trained on written digits or the like."""

import torch
from PIL import Image

__all__ = ["drawn_pixels"]

_FINE = 4  # pixels of the drawing's bitmap for one of the model's, as of the 8 x 8 digits


def drawn_pixels(drawing: Image.Image, image_size: int, *, margin: float = 0.0) -> torch.Tensor:
    """Return a drawing, light on dark, as uint8 [1, 1, S, S].

    As the 8 × 8 digits were made (Alpaydin and Kaynak 1998): what was drawn is cut out, scaled to a bitmap of four by
    four pixels for each of the model's, its shape kept, and each pixel becomes how much of its sixteen is set.

    Parameters
    ----------
    drawing : PIL image
        Any mode; dark is paper.
    image_size : int
        S.
    margin : float
        Share of each side that stays empty, from 0 to 0.4.

    Raises
    ------
    ValueError
        Nothing is drawn.
    """
    grey = drawing.convert("L").point(lambda value: value if value > 8 else 0)
    box = grey.getbbox()
    if box is None:
        raise ValueError("nothing is drawn")
    cut, side = grey.crop(box), _FINE * image_size
    scale = side * (1 - 2 * margin) / max(cut.size)
    size = tuple(max(1, round(length * scale)) for length in cut.size)
    sheet = Image.new("L", (side, side))
    sheet.paste(cut.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR),
                ((side - size[0]) // 2, (side - size[1]) // 2))
    small = sheet.resize((image_size, image_size), Image.Resampling.BOX)
    return torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8).reshape(1, 1, image_size, image_size)
