"""Pictures with their most likely classes, for people who would rather look than read."""

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["picture"]

_SHOWN = 32  # pictures, at most


def picture(pixels: "torch.Tensor", results: Sequence[dict]) -> bytes:
    """Return a PNG with a row for each picture: what the model sees, and bars for its most likely classes.

    ``pixels`` are uint8 [count, channels, S, S]; of each result ``best`` is a list of ``label``, ``logit`` and
    ``probability``, which may be None: then the bars are logits.
    """
    from matplotlib.figure import Figure

    rows = min(len(results), _SHOWN)
    figure = Figure(figsize=(6, 1.6 * rows), layout="constrained")
    axes = figure.subplots(rows, 2, squeeze=False, width_ratios=(1, 3))
    for (left, right), image, result in zip(axes, pixels, results, strict=False):
        grey = len(image) == 1
        values = (image[0] if grey else image.permute(1, 2, 0)).numpy()
        left.imshow(values, cmap="gray" if grey else None, vmin=0, vmax=255)
        left.set_axis_off()
        best = result["best"]
        shares = [one["logit"] if one["probability"] is None else one["probability"] for one in best]
        right.barh(range(len(best)), shares)
        right.set_yticks(range(len(best)), [one["label"] for one in best])
        right.invert_yaxis()
        if best[0]["probability"] is not None:
            right.set_xlim(0, 1)
    file = BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()
