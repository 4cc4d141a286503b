"""The images that a project is run on: the first of its test split, or random ones."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vitric.golden.errors import UserError

from .project import Project

if TYPE_CHECKING:
    import torch

__all__ = ["TestImages", "drawn", "test_images"]


def drawn(count: int, seed: int | None) -> "torch.Tensor":
    """Return the order in which ``count`` images are taken for calibration: as they are, or drawn with ``seed``."""
    import torch

    return torch.arange(count) if seed is None else torch.randperm(count, generator=torch.Generator().manual_seed(seed))


@dataclass(frozen=True, eq=False)
class TestImages:
    """Images to run and, where the data set has them, their labels."""

    __test__ = False  # not a test class

    images: "torch.Tensor"
    labels: "torch.Tensor | None"


def test_images(project: Project, count: int, *, seed: int) -> TestImages:
    """Return the first ``count`` images of the test split, or random ones for a project without data.

    Raises
    ------
    UserError
        ``count`` is below 1 or more than there are, or the data is not there (the message says how to get it).
    """
    import torch

    if count < 1:
        raise UserError(f"images must be at least 1, not {count}")
    if project.data is None:
        generator = torch.Generator().manual_seed(seed)
        shape = (count, project.vit.in_chans, project.vit.image_size, project.vit.image_size)
        return TestImages(torch.randint(0, 256, shape, generator=generator), None)
    split = project.images("test")
    if count > len(split):
        raise UserError(f"images must be at most {len(split)}, the size of the test split, not {count}")
    parts = list(split.batches(count, count))
    if not parts:
        raise UserError(f"no test image of {project.name} can be read")
    images, labels = (torch.cat(part) for part in zip(*parts, strict=True))
    return TestImages(images, labels)


test_images.__test__ = False
