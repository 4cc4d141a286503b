"""Image folders: splits, order, and files that are no images."""

import numpy as np
import pytest
import torch
from PIL import Image
from vitric.golden.data.folder import image_folder
from vitric.golden.data.sets import open_data
from vitric.golden.data.transform import EvalTransform

TRANSFORM = EvalTransform(image_size=4)


def solid(value, size=(6, 5)):
    return Image.fromarray(np.full((*size, 3), value, dtype=np.uint8))


def make_tree(root, parts=("train", "val"), classes=("cat", "dog", "eel"), count=4):
    """Write images whose value says part, class and number."""
    for part, folder in enumerate(parts):
        for label, name in enumerate(classes):
            (root / folder / name).mkdir(parents=True)
            for number in range(count):
                solid(100 * part + 20 * label + number).save(root / folder / name / f"{number}.png")
    return root


def values(images):
    return images[:, 0, 0, 0].tolist()


def test_splits_labels_and_order(tmp_path):
    make_tree(tmp_path)
    (tmp_path / "val" / "dog" / "notes.txt").write_text("no image")
    train, test = (image_folder(tmp_path, split, TRANSFORM) for split in ("train", "test"))
    assert train.classes == test.classes == ("cat", "dog", "eel") and (len(train), len(test)) == (12, 12)
    images, labels = (torch.cat(parts) for parts in zip(*test.batches(5), strict=True))
    assert images.shape == (12, 3, 4, 4) and images.dtype == torch.uint8 and labels.dtype == torch.int64
    assert [(value - 100) // 20 for value in values(images)] == labels.tolist()
    assert sorted(values(images)) == [100 + 20 * label + number for label in range(3) for number in range(4)]
    assert labels.tolist() != sorted(labels.tolist())  # mixed
    assert [len(part) for part, _ in test.batches(5)] == [5, 5, 2]
    assert sum(len(part) for part, _ in test.batches(5, 7)) == 7
    again = image_folder(tmp_path, "test", TRANSFORM)
    assert again.files == test.files and test.take(5).equal(images[:5])


@pytest.mark.parametrize("part", ["val", "."])
def test_calibration_images_are_set_aside_without_train(tmp_path, part):
    make_tree(tmp_path, parts=(part,), count=10)
    train, test = (image_folder(tmp_path, split, TRANSFORM) for split in ("train", "test"))
    assert (len(train), len(test)) == (3, 27)
    assert not set(train.files) & set(test.files)


def damage(root, *names):
    """Write an empty file, a text, and a JPEG that breaks off."""
    noise = Image.fromarray(np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    noise.save(root / "noise.jpeg")
    cut = (root / "noise.jpeg").read_bytes()[:2000]
    for content, name in zip((b"", b"not an image", cut), names, strict=True):
        (root / "val" / name).write_bytes(content)


def test_bad_files_are_named(tmp_path):
    make_tree(tmp_path)
    bad = ("cat/1.png", "dog/2.png", "eel/9.JPEG")
    damage(tmp_path, *bad)
    data = image_folder(tmp_path, "test", TRANSFORM)
    assert len(data) == 13
    with pytest.raises(ValueError, match=r"cannot be read as images: .*; skip_bad \(--skip-bad\)") as caught:
        list(data.batches(4))
    assert all(name in str(caught.value) for name in bad)
    with pytest.raises(ValueError, match="cannot be read as images"):
        data.take(13)
    for index in range(30):
        (tmp_path / "val" / "cat" / f"bad{index}.png").write_bytes(b"")
    with pytest.raises(ValueError, match="and 13 more;"):
        list(image_folder(tmp_path, "test", TRANSFORM).batches(4))


def test_bad_files_are_skipped_on_demand(tmp_path):
    make_tree(tmp_path)
    bad = ("cat/1.png", "dog/2.png", "eel/9.JPEG")
    damage(tmp_path, *bad)
    data = image_folder(tmp_path, "test", TRANSFORM, skip_bad=True)
    images, labels = (torch.cat(parts) for parts in zip(*data.batches(4), strict=True))
    assert len(images) == len(labels) == 10 and sorted(data.bad) == sorted(bad)
    assert [(value - 100) // 20 for value in values(images)] == labels.tolist()
    assert len(data.take(10)) == 10 and len(data.bad) == 3
    with pytest.raises(ValueError, match=r"must have 11 images that can be read, not 10 \(3 files cannot\)"):
        data.take(11)


def test_folders_that_hold_no_data(tmp_path):
    with pytest.raises(ValueError, match=r"must be one of digits, fashion or a folder that exists, not .*image-net"):
        open_data(tmp_path / "imagenet", "test", TRANSFORM)
    with pytest.raises(ValueError, match="must hold one folder per class .* found 0 folders and 0 images"):
        open_data(tmp_path, "test", TRANSFORM)
    make_tree(tmp_path, parts=("train",))
    with pytest.raises(ValueError, match="has train but none of val, validation, test"):
        open_data(tmp_path, "test", TRANSFORM)
    with pytest.raises(ValueError, match="split must be one of 'train', 'test', not 'valid'"):
        open_data(tmp_path, "valid", TRANSFORM)


def test_idx_folders_are_recognised(tmp_path):
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 5, 6]))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 1, 0]))
    data = open_data(tmp_path, "test", TRANSFORM)
    assert data.images.tolist() == [[[[5]]], [[[6]]]] and data.num_classes == 2
