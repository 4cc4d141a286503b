"""The images that were simulated, in the terminal, with what the hardware says that they are."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..project.images import test_images
from ..project.pictures import label_of
from ..project.project import Project
from .console import console

if TYPE_CHECKING:
    import torch
    from rich.table import Table

__all__ = ["answers", "gallery", "show_images"]

_SIDE = 32  # characters of a picture at most; two pixels are one above the other in each
_NAMED = 20  # images that are named where no pictures can be shown


def answers(logits: Sequence[Sequence[int]], truth: Sequence[int] | None, labels: Sequence[str] | None) -> list[str]:
    """Return a word for each image: the class of the largest logit and, if that is wrong, what it is."""
    words = []
    for number, one in enumerate(logits):
        found = one.index(max(one))
        wrong = truth is not None and truth[number] != found
        words.append(label_of(labels, found) + (f" ({label_of(labels, truth[number])})" if wrong else ""))
    return words


def gallery(images: "torch.Tensor", captions: Sequence[str], width: int) -> "Table":
    """Return as many pictures as fit ``width`` characters, side by side, made of coloured half blocks.

    Parameters
    ----------
    images : integer tensor [B, C, S, S]
        Pixels 0 to 255, grey or RGB; larger ones are made smaller by averaging.
    captions : sequence of str
        Below each of them.
    width : int
    """
    import torch
    from rich.table import Table
    from rich.text import Text

    side = min(_SIDE, images.shape[-1])
    fitting = max(1, (width + 2) // (side + 2))
    pixels = torch.nn.functional.adaptive_avg_pool2d(images[:fitting].double(), (side, side)).round().long()
    pixels = pixels[:, :3].expand(-1, 3, -1, -1) if pixels.shape[1] == 1 else pixels[:, :3]
    table = Table.grid(padding=(0, 2, 0, 0))
    shown = []
    for picture in pixels.permute(0, 2, 3, 1).tolist():  # [side, side, 3]
        text = Text(no_wrap=True)
        for upper, lower in zip(picture[::2], [*picture[1::2], picture[-1]], strict=False):
            for above, below in zip(upper, lower, strict=True):
                text.append("▀", f"rgb({','.join(map(str, above))}) on rgb({','.join(map(str, below))})")
            text.append("\n")
        shown.append(text)
    table.add_row(*shown)
    table.add_row(*(Text(caption, overflow="fold") for caption in captions[:fitting]))
    return table


def show_images(project: Project, figures: dict, *, stderr: bool = False) -> None:
    """Print the images of a simulation with the hardware's answers: pictures in a terminal with colours, else names.

    ``figures`` are those of :func:`vitric.flow.reports.simulation.figures_of`. Random images are not shown.
    """
    if project.data is None:
        return
    chosen = test_images(project, figures["images"], seed=figures["seed"])
    said = answers(figures["logits"], chosen.labels.tolist(), project.labels)
    say = console(stderr=stderr)
    if say.color_system == "truecolor" and project.vit.in_chans in (1, 3):
        say.print(gallery(chosen.images, said, say.width))
    else:
        more = f" and {len(said) - _NAMED} more" if len(said) > _NAMED else ""
        say.print(f"the hardware saw {', '.join(said[:_NAMED])}{more}", markup=False, soft_wrap=True)
