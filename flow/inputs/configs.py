"""The configurations that `make` targets name: a network, the accelerator it runs on, and its test images."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vitric.golden.errors import UserError
from vitric.golden.spec.accelerator import SPECS, AcceleratorSpec
from vitric.golden.spec.vit import VitConfig, vit_config

if TYPE_CHECKING:
    import torch

__all__ = ["CONFIGS", "Configuration", "TestImages", "configuration"]


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """One legal value of ``CONFIG``.

    Attributes
    ----------
    name : str
    vit : VitConfig
        The network.
    spec : AcceleratorSpec
        The accelerator.
    data : str or None
        Data set (a name of :data:`vitric.golden.data.sets.DATASETS`) that the float model of this name in ``models/``
        was trained for. Without one, weights and images are random.
    """

    name: str
    vit: VitConfig
    spec: AcceleratorSpec
    data: str | None


@dataclass(frozen=True, eq=False)
class TestImages:
    """Images to run and, where the data set has them, their labels."""

    __test__ = False  # not a test class

    images: "torch.Tensor"
    labels: "torch.Tensor | None"


CONFIGS = {
    entry.name: entry
    for entry in (
        Configuration(name="tiny", vit=vit_config("tiny"), spec=SPECS["tiny"], data="digits"),
        Configuration(name="digits", vit=vit_config("digits"), spec=SPECS["digits"], data="digits"),
        Configuration(name="fashion", vit=vit_config("fashion"), spec=SPECS["fashion"], data="fashion"),
        Configuration(name="deit_tiny_block", vit=replace(vit_config("deit_tiny"), depth=1), spec=SPECS["deit_tiny"],
                      data=None),
    )
}
"""By name. ``deit_tiny_block`` is DeiT-Tiny with one encoder block and random weights, at real size."""


def configuration(name: str) -> Configuration:
    """Return the configuration called ``name``; raise :exc:`UserError` listing the legal names if there is none."""
    if name not in CONFIGS:
        raise UserError(f"config must be one of {', '.join(CONFIGS)}, not {name!r}")
    return CONFIGS[name]


def test_images(entry: Configuration, count: int, *, seed: int) -> TestImages:
    """Return the first ``count`` images of the test split, or random ones for a configuration without data.

    Raises
    ------
    UserError
        ``count`` is below 1 or more than there are, or the data set is not installed (the message says how to get it).
    """
    import torch
    from vitric.golden.data.sets import dataset

    if count < 1:
        raise UserError(f"images must be at least 1, not {count}")
    if entry.data is None:
        generator = torch.Generator().manual_seed(seed)
        shape = (count, entry.vit.in_chans, entry.vit.image_size, entry.vit.image_size)
        return TestImages(torch.randint(0, 256, shape, generator=generator), None)
    try:
        data = dataset(entry.data, "test")
    except ValueError as error:
        raise UserError(str(error)) from error
    if count > len(data):
        raise UserError(f"images must be at most {len(data)}, the size of the test split, not {count}")
    return TestImages(data.images[:count], data.labels[:count])


test_images.__test__ = False
