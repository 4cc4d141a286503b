from dataclasses import fields

import pytest
from pydantic import ValidationError
from vitric.flow.project.schema import Accelerator, Network, ProjectFile, Quantization
from vitric.golden.quantization.settings import Settings
from vitric.golden.spec.accelerator import SPECS, AcceleratorSpec
from vitric.golden.spec.vit import VIT_CONFIGS, VitConfig


def test_keys_are_those_of_what_they_make():
    assert set(Network.model_fields) == {field.name for field in fields(VitConfig)} | {"base"}
    parameters = {field.name for field in fields(AcceleratorSpec)} - {"name"}
    assert set(Accelerator.model_fields) == parameters | {"spec", "why"}
    assert set(Quantization.model_fields) == {field.name for field in fields(Settings)} - {"spec"} | {"calibration"}


def test_defaults_are_those_of_the_quantizer():
    said, usual = Quantization(), Settings()
    names = ("method", "w_bits", "a_bits", "edge_bits", "granularity", "seed")
    assert [getattr(said, name) for name in names] == [getattr(usual, name) for name in names]


def test_network():
    assert Network(base="tiny", depth=2).vit.depth == 2 and Network(base="tiny").vit == VIT_CONFIGS["tiny"]
    assert Network(**VIT_CONFIGS["deit_tiny"].to_dict()).vit == VIT_CONFIGS["deit_tiny"]
    with pytest.raises(ValidationError, match="a ViT config needs the parameter depth, "):
        Network(image_size=8)


def test_accelerator():
    assert Accelerator(spec="tiny", why="it is small").named("x") == SPECS["tiny"]
    changed = Accelerator(spec="tiny", acc_bits=20).named("x")
    assert (changed.name, changed.acc_bits, changed.rows) == ("x", 20, SPECS["tiny"].rows)
    whole = {field.name: getattr(SPECS["digits"], field.name) for field in fields(AcceleratorSpec)}
    del whole["name"]
    assert Accelerator(**whole).named("digits") == SPECS["digits"]


def test_settings_cannot_be_changed_in_place():
    settings = ProjectFile.model_validate({"network": {"base": "tiny"}})
    with pytest.raises(ValidationError, match="frozen"):
        settings.board.seed = 3
