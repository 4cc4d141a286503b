"""Bit-exactness is a promise: the integer models of all configurations and their streams, by digest.

A change that alters one of these numbers belongs in CHANGELOG, with the reason.
"""

import hashlib
import json
from dataclasses import replace

import pytest
import torch
from vitric.compiler.compile import compile_model
from vitric.flow.project.file import config_names
from vitric.flow.project.integer import committed_file, integer_model
from vitric.flow.project.project import open_project
from vitric.golden import load_float, quantize
from vitric.golden.data.sets import dataset
from vitric.golden.integer.storage import load_integer, model_digest

DIGESTS = {  # of the integer model, and of its stream
    "tiny": ("bd6c26ebebae35830c80ee0b7793fe36", "a061374537b4134724b5bf4407945c5b"),
    "digits": ("fbab9b67a923e280a5dc5d1791d06c7e", "014325a796d21ee93d66421b2c6b5137"),
    "digits_25f": ("fbab9b67a923e280a5dc5d1791d06c7e", "e80e4a11591c9b0ea7fcca099c801b7e"),
    "digits_small": ("fbab9b67a923e280a5dc5d1791d06c7e", "be7626f41fd655089ee1d82bb23cc08f"),
    "tiny_small": ("bd6c26ebebae35830c80ee0b7793fe36", "f3900c3ea791a8a780c69d11868c3d67"),
    "fashion": ("c01df415e53fc9cd4b32c5b42b70374c", "f72223e366d28ef5bbcd85b09bc5b814"),
    "photos": ("230caee3d7ba8e6e0e910c0042459a3f", "4780056239d7b543f56a846b6c5b3f72"),
    "deit_tiny": ("4f4cbbc6b984e153f101376b8d3f96bf", "5aede0e3812e249bfd6d6c5be15b7a7c"),
    "deit_tiny_ulx3s": ("4f4cbbc6b984e153f101376b8d3f96bf", "5abadfa7e94a73726a8ad29f10d81d21"),
    "deit_small": ("ecd31d87d947d364609c35e89355dc12", "688d30f0d5475ab57bad0da6ffe28505"),
    "deit_tiny_block": ("f6d52f1cf5bd51c54518d43bd0fe7834", "1620b303a4e81699ddf34435447cd304"),
}
NAMES = config_names()
COMMITTED = [name for name in NAMES if open_project(name).data and not open_project(name).settings.model.integer]
TRAINED = [name for name in COMMITTED if open_project(name).data == "digits"]  # data that come with scikit-learn


@pytest.mark.parametrize("name", NAMES)
def test_models_and_streams_are_what_they_were(name, tmp_path):
    model = integer_model(replace(open_project(name), build=tmp_path))
    stream = compile_model(model, open_project(name).spec).stream.data
    assert (model_digest(model)[:32], hashlib.sha256(stream).hexdigest()[:32]) == DIGESTS.get(name)


@pytest.mark.parametrize("name", COMMITTED)
def test_committed_models_are_of_the_float_models_that_are_there(name):
    info = load_integer(committed_file(name)).info
    assert info["float_sha256"] == hashlib.sha256(open_project(name).weights.read_bytes()).hexdigest()
    assert json.loads(info.get("layer_bits", "{}")) == {}


@pytest.mark.parametrize("name", TRAINED)
def test_committed_models_are_what_quantization_gives(name):
    """On any CPU: no choice is left to the last bits of float sums."""
    committed = load_integer(committed_file(name))
    entry = open_project(name)
    images = dataset(entry.data, "train")[:int(committed.info["calibration_images"])]
    assert model_digest(quantize(load_float(name), images, spec=entry.spec)) == model_digest(committed)


def test_digests_see_every_part():
    model = load_integer(committed_file("tiny"))
    block = model.blocks[0]
    before = model_digest(model)
    changes = [
        {"pos_embed": model.pos_embed + 1}, {"residual_bits": 15},
        {"blocks": (type(block)(**{**vars(block), "norm2": type(block.norm2)(
            **{**vars(block.norm2), "gamma": block.norm2.gamma.roll(1)})}),)},
    ]
    for change in changes:
        assert model_digest(type(model)(**{**vars(model), **change})) != before
    assert model_digest(type(model)(**{**vars(model), "info": {"other": "text"}})) == before
    assert torch.equal(model.pos_embed, load_integer(committed_file("tiny")).pos_embed)
