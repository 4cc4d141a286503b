"""A project: what its file says, resolved to networks, specs, models and images when they are asked for."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitric.golden.errors import UserError

from ..inputs.checked import checked
from .file import CONFIGS, FILE, change_file, find_file, read_file

if TYPE_CHECKING:
    from vitric.boards.registry import Board
    from vitric.golden.data.images import Images
    from vitric.golden.data.transform import EvalTransform
    from vitric.golden.pretrained import Pretrained
    from vitric.golden.spec.accelerator import AcceleratorSpec
    from vitric.golden.spec.vit import VitConfig
    from vitric.golden.vit import VisionTransformer

    from .schema import ProjectFile

__all__ = ["Project", "checked", "checkpoint_project", "open_project"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Project:
    """A network with what belongs to it. Everything below raises :exc:`UserError` for what the user can put right.

    Attributes
    ----------
    name : str
        Of a built-in project, of the project's folder, or of the checkpoint.
    folder : Path
        What the paths of the file are relative to.
    settings : ProjectFile
        What the file says.
    build : Path
        Folder of what is made: ``build/<name>`` for a built-in project, ``<folder>/build`` else.
    """

    name: str
    folder: Path
    settings: "ProjectFile"
    build: Path

    def changed(self, changes: Mapping[str, Mapping[str, Any]]) -> "Project":
        """Return the project with other settings, section by section; a value of None changes nothing.

        Raises
        ------
        UserError
            A value is illegal; the message names section and key.
        """
        said = {section: {key: value for key, value in keys.items() if value is not None}
                for section, keys in changes.items()}
        return replace(self, settings=change_file(self.settings, {key: keys for key, keys in said.items() if keys}))

    def path(self, text: str) -> Path:
        """Return a path of the file."""
        return self.folder / text

    @property
    def weights(self) -> Path | None:
        """File of the float model; None for random weights."""
        return self.path(self.settings.model.weights) if self.settings.model.weights else None

    @cached_property
    def weights_digest(self) -> str:
        """SHA-256 of :attr:`weights`, hexadecimal."""
        return checked(lambda: hashlib.sha256(self._existing_weights().read_bytes()).hexdigest())

    def _existing_weights(self) -> Path:
        if self.weights is None:
            raise UserError(f"{self.name} has random weights, so nothing is trained, quantized or measured")
        if not self.weights.is_file():
            train = f"; `vitric train --project {self.name}` makes it" if self.settings.network else ""
            raise UserError(f"the weights {self.weights} of {self.name} do not exist{train}")
        return self.weights

    @cached_property
    def pretrained(self) -> "Pretrained":
        """The float model, with the transform of its images and what nobody said about it."""
        from vitric.golden.pretrained import load_pretrained

        said = self.settings.model
        found = checked(lambda: load_pretrained(
            self._existing_weights(), heads=said.num_heads, statistics=said.statistics,
            image_size=said.image_size))
        if self.settings.network and self.settings.network.vit != found.model.config:
            raise UserError(f"{self.weights} is the network {found.model.config}, [network] of {self.name} is "
                            f"{self.settings.network.vit}")
        return found

    @property
    def model(self) -> "VisionTransformer":
        """The float model."""
        return self.pretrained.model

    @cached_property
    def vit(self) -> "VitConfig":
        """Dimensions of the network."""
        return self.settings.network.vit if self.settings.network else self.model.config

    @property
    def has_accelerator(self) -> bool:
        """Whether the file names one, or its parameters."""
        return bool(self.settings.accelerator.model_dump(exclude_none=True, exclude={"why"}))

    @cached_property
    def spec(self) -> "AcceleratorSpec":
        """The accelerator."""
        if not self.has_accelerator:
            raise UserError(f"{self.name} has no accelerator; name one in [accelerator] of its {FILE}, or let `vitric "
                            "fit` choose one")
        return self.settings.accelerator.named(self.name)

    @cached_property
    def board(self) -> "Board":
        """The board, with the speed of the serial line and the clock of the SDRAM that the project wants."""
        from vitric.boards.registry import find_board

        said = self.settings.board
        wanted = {"baud": said.baud, "sdram_mhz": said.sdram_mhz}
        return replace(find_board(said.name), **{name: value for name, value in wanted.items() if value is not None})

    @property
    def clock_mhz(self) -> float:
        """Clock of the design: what the file says, else the board's."""
        said = self.settings.board.clock_mhz
        return self.board.clock_mhz if said is None else said

    @property
    def data(self) -> str | None:
        """Name or folder of the data set; None for random images."""
        from vitric.golden.data.sets import DATASETS

        source = self.settings.data.source
        return source if source is None or source in DATASETS else str(self.path(source))

    @property
    def labels(self) -> tuple[str, ...] | None:
        """Names of the classes, by number: those of the file, else of the checkpoint, else None."""
        if labels := self.settings.data.labels:
            if len(labels) != self.vit.num_classes:
                raise UserError(f"[data] labels of {self.name} must be {self.vit.num_classes} names, one for each "
                                f"class, not {len(labels)}")
            return tuple(labels)
        return self.pretrained.labels if self.weights else None

    @cached_property
    def transform(self) -> "EvalTransform":
        """What makes pixels of an image file."""
        from vitric.golden.data.transform import EvalTransform

        if self.weights and self.weights.is_file():
            return self.pretrained.transform
        size, channels = self.vit.image_size, self.vit.in_chans
        return checked(lambda: EvalTransform(image_size=size, in_chans=channels, resize=size))

    def images(self, split: str) -> "Images":
        """Return one split, ``"train"`` or ``"test"``, of the data."""
        from vitric.golden.data.classes import ClassOrder
        from vitric.golden.data.sets import open_data

        said = self.settings.data
        if self.data is None:
            raise UserError(f"{self.name} has no data; name a data set or a folder in [data] source of its {FILE}")
        usual = "natural" if self.weights and self.pretrained.kind == "timm" else "lexical"
        order = checked(lambda: ClassOrder(order=said.class_order, usual=usual, labels=self.labels))
        return checked(lambda: open_data(self.data, split, self.transform, skip_bad=said.skip_bad, order=order))


def checkpoint_project(weights: Path, changes: Mapping[str, Mapping[str, Any]]) -> Project:
    """Return the project that a checkpoint alone makes, with what ``changes`` say, section by section.

    It is called as the file is; its folder ``build/<name>-<digest>`` tells files of one name apart.

    Raises
    ------
    UserError
        There is no such file, or a change is illegal.
    """
    from .schema import ProjectFile

    if not weights.is_file():
        raise UserError(f"checkpoint {weights} does not exist")
    settings = ProjectFile.model_validate({"model": {"weights": str(weights)}})
    project = Project(name=weights.stem, folder=Path(), settings=settings, build=Path()).changed(changes)
    return replace(project, build=Path("build") / f"{weights.stem}-{project.weights_digest[:8]}")


def open_project(project: str | Path | None = None) -> Project:
    """Return a project by the name of a built-in one, its folder or its file; by default that of the current folder.

    Raises
    ------
    UserError
        There is none, or its file is wrong.
    """
    file = find_file(project)
    settings = read_file(file)
    if file.parent == CONFIGS:
        return Project(name=file.stem, folder=CONFIGS, settings=settings, build=Path("build") / file.stem)
    folder = file.parent.resolve()
    name = folder.name if file.name == FILE else file.stem
    return Project(name=name, folder=folder, settings=settings, build=folder / "build")
