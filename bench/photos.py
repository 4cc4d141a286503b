"""Draw the pictures that `make sim CONFIG=photos` has run, with what the hardware saw: ``python -m bench.photos``.

Writes ``docs/photos.png`` from ``build/photos/sim.json``.
"""

import json
from pathlib import Path

from matplotlib.figure import Figure
from vitric.flow.project.images import test_images
from vitric.flow.project.project import open_project
from vitric.flow.reports.gallery import answers
from vitric.flow.start import run
from vitric.golden.errors import UserError

from docs.pages import ROOT

__all__ = ["main"]

_COLUMNS, _ROWS = 8, 2


def main() -> None:
    """Draw them."""
    project = open_project("photos")
    try:
        figures = json.loads((project.build / "sim.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"the figures of a simulation are needed: make sim CONFIG=photos ({error})") from error
    chosen = test_images(project, figures["images"], seed=figures["seed"])
    said = answers(figures["logits"], chosen.labels.tolist(), project.labels)
    figure = Figure(figsize=(1.1 * _COLUMNS, 1.35 * _ROWS), dpi=120, layout="constrained")
    for axes, picture, words in zip(figure.subplots(_ROWS, _COLUMNS).flatten(), chosen.images, said, strict=False):
        axes.imshow(picture.permute(1, 2, 0).numpy().astype("uint8"), interpolation="nearest")
        axes.set_title(words, fontsize=8, color="firebrick" if "(" in words else "black")
        axes.set_axis_off()
    path = Path(ROOT, "docs", "photos.png")
    figure.savefig(path, metadata={"Software": None})
    print(path.relative_to(ROOT))


if __name__ == "__main__":
    run(main)
