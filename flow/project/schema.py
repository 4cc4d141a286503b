"""What may stand in a project's file, ``vitric.toml``: sections, keys, legal values. ``docs/project.md`` explains them.

Every section may be left out, and every key; what is then taken is the default here. Paths are relative to the file's
folder. What a value means is checked where it is used: by the network's config, the accelerator's spec, the quantizer's
settings, which are made here once so that a wrong file is refused before any work.
"""

from dataclasses import MISSING, fields, replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator
from vitric.boards.registry import BOARDS
from vitric.golden.data.classes import ORDERS
from vitric.golden.quantization.lowering.weights import GRANULARITIES
from vitric.golden.quantization.methods import METHODS
from vitric.golden.spec.accelerator import SPECS, AcceleratorSpec
from vitric.golden.spec.vit import VIT_CONFIGS, VitConfig

__all__ = ["Accelerator", "BoardChoice", "Calibration", "Data", "Model", "Network", "ProjectFile", "Quantization",
           "Section"]

Seed = Annotated[int, Field(ge=0, lt=1 << 31)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A table of the file: no other keys, no conversion between types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Model(Section):
    """``[model]``: where the float weights come from."""

    weights: Annotated[str | None, Field(min_length=1)] = None
    """Checkpoint of timm's, Hugging Face's or our own; without one, weights are random."""
    num_heads: Annotated[int | None, Field(ge=1, le=64)] = None
    """Of a checkpoint that does not say it."""
    statistics: Literal["imagenet", "half", "clip"] | None = None
    """Mean and deviation of the pixels of a checkpoint that does not say them."""
    image_size: Annotated[int | None, Field(ge=1, le=1024)] = None
    """Side of the images, if not that of the checkpoint: its position embedding is resampled."""
    integer: Annotated[str | None, Field(min_length=1)] = None
    """Integer model that is there already, from `vitric qat` or `quantize`; nothing is quantized then."""
    seed: Seed = 1
    """Of random weights and random images."""


class _NetworkBase(Section):
    base: Literal[*VIT_CONFIGS] | None = None
    """Name of a network whose dimensions the other keys change."""


class Network(create_model("_NetworkFields", __base__=_NetworkBase, **{
        field.name: (list[float] | None if field.name in ("mean", "std") else field.type | None, None)
        for field in fields(VitConfig)})):
    """``[network]``: dimensions of a network without a checkpoint, by the names of ``VitConfig``."""

    @model_validator(mode="after")
    def _is_a_network(self):
        self.vit  # noqa: B018 (raises if it is none)
        return self

    @property
    def vit(self) -> VitConfig:
        """The network; :exc:`ValueError` names what is missing or illegal."""
        given = self.model_dump(exclude_none=True, exclude={"base"})
        start = VIT_CONFIGS[self.base].to_dict() if self.base else {}
        return VitConfig.from_dict(start | given)


class Data(Section):
    """``[data]``: images and labels."""

    source: Annotated[str | None, Field(min_length=1)] = None
    """`digits`, `fashion`, a folder of MNIST's IDX files, or a folder with one folder of images per class."""
    skip_bad: bool = False
    """Leave out image files that cannot be read."""
    class_order: Literal[*ORDERS] | None = None
    """What class folders are numbered by; by default the labels of the checkpoint, else the order of its software."""
    labels: Annotated[list[str] | None, Field(min_length=1)] = None
    """Names of the classes, class 0 first."""


class Calibration(Section):
    """``[quantization.calibration]``: the images whose ranges count."""

    images: Count = 64
    source: Literal["train", "data_free", "noise"] = "train"
    seed: Seed | None = None
    """Draws the images; without it, the first ones are taken."""


class Quantization(Section):
    """``[quantization]``: arguments of :func:`vitric.golden.quantize`."""

    method: Literal[*METHODS] = "mse"
    w_bits: Annotated[int, Field(ge=1, le=8)] = 4
    a_bits: Annotated[int, Field(ge=2, le=8)] = 4
    edge_bits: Annotated[int, Field(ge=2, le=8)] = 8
    softmax_bits: Annotated[int | None, Field(ge=2, le=8)] = None
    granularity: Literal[*GRANULARITIES] = "channel"
    seed: Seed = 0
    layer_bits: Annotated[str | None, Field(min_length=1)] = None
    """File of `vitric allocate` with the widths of single layers."""
    calibration: Calibration = Calibration()


class Accelerator(create_model("_AcceleratorFields", __base__=Section, **{
        field.name: (field.type | None, None) for field in fields(AcceleratorSpec) if field.name != "name"})):
    """``[accelerator]``: a named spec, its parameters, or a named spec with some of them changed."""

    spec: Literal[*SPECS] | None = None
    """Name of a spec, which the other keys change."""
    why: str | None = None
    """For readers: how it was chosen (`vitric fit` writes it)."""

    @model_validator(mode="after")
    def _is_a_spec(self):
        if self.model_dump(exclude_none=True, exclude={"why"}):
            self.named("check")
        return self

    def named(self, name: str) -> AcceleratorSpec:
        """Return the spec, called ``name`` unless it is a named one; :exc:`ValueError` says what is wrong with it."""
        given = self.model_dump(exclude_none=True, exclude={"spec", "why"})
        if self.spec:
            return replace(SPECS[self.spec], **({"name": name} | given if given else {}))
        required = {field.name for field in fields(AcceleratorSpec) if field.default is MISSING} - {"name"}
        if missing := sorted(required - set(given)):
            raise ValueError(f"needs spec, one of {', '.join(SPECS)}, or {', '.join(missing)}")
        return AcceleratorSpec(name=name, **given)


class BoardChoice(Section):
    """``[board]``: what the bitstream is for."""

    name: Literal[*BOARDS] = "ulx3s"
    clock_mhz: Annotated[float | None, Field(gt=0, le=1000, strict=False)] = None
    """Of the system; by default the board's."""
    baud: Annotated[int | None, Field(ge=1200, le=12_000_000)] = None
    """Of the serial line after power-on; by default the board's."""
    seed: Seed = 1
    """Of place and route."""
    capacity: Count | None = None
    """Longest model that can be loaded, in model words."""
    memory: Literal["bram", "sdram"] = "bram"
    """Where models lie: in block RAM, one of them from power-on, or in the board's SDRAM, once they were loaded."""
    sdram_mhz: Annotated[float | None, Field(ge=25, le=143, strict=False)] = None
    """Clock of the SDRAM; by default the board's."""


class ProjectFile(Section):
    """A whole file."""

    model: Model = Model()
    network: Network | None = None
    data: Data = Data()
    quantization: Quantization = Quantization()
    accelerator: Accelerator = Accelerator()
    board: BoardChoice = BoardChoice()

    @model_validator(mode="after")
    def _says_a_model(self):
        if self.network is None and self.model.weights is None:
            raise ValueError("needs [model] weights, or [network] for random ones")
        return self
