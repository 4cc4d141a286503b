"""Pictures of people's own as the images of a project, and what is said of their classes."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..inputs.checked import checked
from .project import Project

if TYPE_CHECKING:
    import torch

__all__ = ["label_of", "prepared"]


def prepared(project: Project, pictures: Sequence[Path]) -> "tuple[torch.Tensor, list[list[str]]]":
    """Return the pixels of all pictures, as the images were that the model was trained on, and what was done to each.

    Raises
    ------
    UserError
        A picture cannot be read.
    """
    import torch
    from vitric.golden.data.snapshots import snapshot

    made = [checked(lambda path=path: snapshot(path, project.transform)) for path in pictures]
    return torch.cat([pixels for pixels, _ in made]), [notes for _, notes in made]


def label_of(labels: Sequence[str] | None, index: int) -> str:
    """Return the name of a class, or its number where classes have no names."""
    return labels[index] if labels else str(index)
