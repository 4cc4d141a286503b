"""An interrupted training goes on as if nothing had happened."""

from dataclasses import replace

import pytest
import torch
from vitric.golden.data.images import ImageData
from vitric.golden.recipe import Recipe
from vitric.golden.spec.vit import VIT_CONFIGS
from vitric.golden.tensor_files import read_safetensors
from vitric.golden.train import train
from vitric.golden.training_file import TrainingFile, restore

TINY = VIT_CONFIGS["tiny"]
RECIPE = Recipe(epochs=3, batch_size=16, flip=True, data=None)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def data():
    draw = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (40, 1, 8, 8), generator=draw, dtype=torch.uint8)
    return ImageData("train", images, torch.arange(40) % 10)


def weights(model):
    return torch.cat([tensor.flatten() for tensor in model.state_dict().values()])


def interrupt_at(number):
    def call(now, *_):
        if now == number:
            raise KeyboardInterrupt

    return call


@pytest.mark.parametrize(("interruption", "others"), [
    ({"on_epoch": interrupt_at(2)}, [3]),
    ({"on_step": interrupt_at(4)}, [2, 3]),  # an epoch has three steps
    ({"on_step": interrupt_at(1)}, [1, 2, 3]),
])
def test_interrupted_at_any_place_it_ends_the_same(data, tmp_path, interruption, others):
    whole, path, epochs = train(TINY, RECIPE, data), tmp_path / "training.safetensors", []
    with pytest.raises(KeyboardInterrupt):
        train(TINY, RECIPE, data, kept=path, **interruption)
    resumed = train(TINY, RECIPE, data, kept=path, on_epoch=lambda epoch, *_: epochs.append(epoch))
    assert epochs == others and weights(resumed).equal(weights(whole))
    assert weights(train(TINY, RECIPE, data, kept=path)).equal(weights(whole))  # nothing is left to do


@pytest.mark.parametrize(("recipe", "config", "message"), [
    ({"seed": 4}, {}, "recipe seed 0 there, 4 here"), ({"epochs": 9}, {}, "recipe epochs 3 there, 9 here"),
    ({}, {"depth": 2}, "network depth 1 there, 2 here"),
])
def test_another_training(data, tmp_path, recipe, config, message):
    path = tmp_path / "training.safetensors"
    train(TINY, RECIPE, data, kept=path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"belongs to another training: {message}"):
        train(replace(TINY, **config), replace(RECIPE, **recipe), data, kept=path)
    other = ImageData("train", data.images.flip(0), data.labels)
    with pytest.raises(ValueError, match="belongs to another training: images "):
        train(TINY, RECIPE, other, kept=path)
    assert path.read_bytes() == before


def test_damaged_files(data, tmp_path):
    path = tmp_path / "training.safetensors"
    train(TINY, RECIPE, data, kept=path)
    whole = path.read_bytes()
    for content in (b"", whole[:-5], b"{}"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is not the file of a training"):
            train(TINY, RECIPE, data, kept=path)
    path.write_bytes(whole)
    tensors = read_safetensors(path)
    model, optimizer = torch.nn.Linear(2, 2), torch.optim.AdamW([torch.nn.Parameter(torch.zeros(2))])
    for wrong in ({}, {"model.weight": torch.zeros(3, 2), "model.bias": torch.zeros(2)}, tensors):
        with pytest.raises(ValueError, match="the state of the training is not whole"):
            restore(wrong, {"model": model}, [optimizer], torch.Generator())


def test_a_file_that_is_not_there(tmp_path):
    assert TrainingFile(tmp_path / "none.safetensors", {}).load() is None
