"""Augmentation: bounds, mirroring, whole pixels, and rectangles of other images with their share of the label."""

import pytest
import torch
from vitric.golden.augment import augment, cutmix
from vitric.golden.data.sets import digits
from vitric.golden.recipe import Recipe

STILL = Recipe(epochs=1, shift=0.0, rotation=0.0, scale=0.0)


def test_augmentation_off_is_the_identity():
    images = digits("train")[:8]
    generator = torch.Generator().manual_seed(0)
    torch.testing.assert_close(augment(images, STILL, generator), images.float(), rtol=0, atol=1e-3)


def test_augmentation_stays_within_its_bounds():
    images = torch.zeros(400, 1, 8, 8)
    images[:, :, 3:5, 3:5] = 100.0
    moved = augment(images, Recipe(epochs=1, shift=1.0, rotation=0.0, scale=0.0), torch.Generator().manual_seed(0))
    assert 0 <= moved.min() and moved.max() <= 100.001
    assert moved.sum(dim=(1, 2, 3)) == pytest.approx(400.0, rel=1e-4)  # bilinear keeps the mass inside the frame
    centre = (moved * torch.arange(8.0)).sum(dim=(1, 2, 3)) / 400 - 3.5
    assert 0.9 < centre.abs().max() <= 1.0001 and abs(centre.mean()) < 0.1
    turned = augment(images, Recipe(epochs=1, shift=0.0, rotation=45.0, scale=0.0), torch.Generator().manual_seed(0))
    torch.testing.assert_close(turned, turned.rot90(2, (2, 3)), rtol=0, atol=1e-3)


def test_flip_mirrors_half_of_the_images():
    images = torch.arange(64, dtype=torch.uint8).reshape(1, 1, 8, 8).expand(200, 1, 8, 8)
    still = Recipe(epochs=1, shift=0.0, rotation=0.0, scale=0.0, flip=True)
    flipped = augment(images, still, torch.Generator().manual_seed(0))
    mirrored = [index for index, image in enumerate(flipped) if torch.allclose(image, images[0].flip(-1).float())]
    others = [index for index, image in enumerate(flipped) if torch.allclose(image, images[0].float(), atol=1e-3)]
    assert len(mirrored) + len(others) == 200 and 70 < len(mirrored) < 130


def test_images_that_are_only_shifted_stay_sharp():
    images = torch.randint(0, 256, (64, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    moved = augment(images, Recipe(epochs=1, shift=2.0, rotation=0.0, scale=0.0), torch.Generator().manual_seed(0))
    padded, found = torch.nn.functional.pad(images.float(), (2, 2, 2, 2)), set()
    for image, result in zip(padded, moved, strict=True):
        places = [(row, column) for row in range(5) for column in range(5)
                  if torch.allclose(image[:, row:row + 8, column:column + 8], result, atol=1e-2)]
        assert len(places) == 1
        found.update(places)
    assert len(found) > 15  # of 25: both axes, both directions


def test_a_rectangle_is_another_image_and_so_is_its_share_of_the_label():
    images = (torch.arange(1, 7).reshape(6, 1, 1, 1) * 10).expand(6, 3, 16, 16)
    labels, draw, shares = torch.tensor([0, 1, 2, 3, 4, 4]), torch.Generator().manual_seed(0), []
    for _ in range(50):
        mixed, targets = cutmix(images, labels, 5, draw)
        assert mixed.shape == images.shape and targets.dtype == torch.float32 and targets.shape == (6, 5)
        torch.testing.assert_close(targets.sum(dim=1), torch.ones(6))
        for own, (picture, target) in enumerate(zip(mixed, targets, strict=True)):
            foreign = picture[0] != images[own, 0]  # [16, 16]
            rows, columns = foreign.any(dim=1).nonzero(), foreign.any(dim=0).nonzero()
            if len(rows):
                block = picture[:, rows.min():rows.max() + 1, columns.min():columns.max() + 1]
                assert foreign.sum() * 3 == block.numel() and len(block.unique()) == 1  # one rectangle of one image
                other = int(block.unique()) // 10 - 1
                share = foreign.float().mean()
                expected = torch.zeros(5)
                expected[labels[own]] += 1 - share
                expected[labels[other]] += share
                torch.testing.assert_close(target, expected)
                shares.append(float(share))
    assert min(shares) < 0.1 and max(shares) > 0.7
    assert images.equal((torch.arange(1, 7).reshape(6, 1, 1, 1) * 10).expand(6, 3, 16, 16))
