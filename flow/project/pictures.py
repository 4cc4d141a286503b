"""Pictures of people's own as the images of a project, and what is said of their classes."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..inputs.checked import checked
from .project import Project

if TYPE_CHECKING:
    import torch
    from vitric.golden.integer import IntegerViT

__all__ = ["label_of", "likely", "prepared"]


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


def likely(logits: "torch.Tensor", model: "IntegerViT", labels: Sequence[str] | None, count: int) -> list[dict]:
    """Return the ``count`` largest of an image's logits: ``class``, ``label``, ``logit`` and ``probability``.

    Of equal ones the first class comes first, as on a board. Probabilities are None if nobody knows what a step of the
    logits is worth.
    """
    import torch

    scale = model.info.get("logit_scale")
    shares = None if scale is None else torch.softmax(logits.double() * float(scale), 0).tolist()
    order = logits.argsort(descending=True, stable=True).tolist()[:count]
    return [{"class": index, "label": label_of(labels, index), "logit": int(logits[index]),
             "probability": None if shares is None else round(shares[index], 6)} for index in order]
