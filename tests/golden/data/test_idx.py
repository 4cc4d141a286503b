import gzip

import pytest
import torch
from vitric.golden.data import idx
from vitric.golden.data.idx import fashion, idx_folder, read_idx
from vitric.golden.data.sets import dataset


def idx_bytes(shape, values):
    return bytes([0, 0, 8, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape) + bytes(values)


def write_split(folder, prefix, count, *, packed=False):
    images = idx_bytes((count, 2, 3), [(7 * index) % 256 for index in range(count * 6)])
    labels = idx_bytes((count,), [index % 10 for index in range(count)])
    for name, content in (("images-idx3", images), ("labels-idx1", labels)):
        path = folder / f"{prefix}-{name}-ubyte{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(content) if packed else content)


@pytest.mark.parametrize("packed", [False, True])
def test_folder(tmp_path, packed):
    write_split(tmp_path, "train", 50, packed=packed)
    write_split(tmp_path, "t10k", 12, packed=packed)
    train, test = idx_folder(tmp_path, "train"), idx_folder(tmp_path, "test")
    assert train.images.shape == (50, 1, 2, 3) and train.images.dtype == torch.uint8
    assert test.images[1].tolist() == [[[42, 49, 56], [63, 70, 77]]]  # row by row
    assert test.labels.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1] and test.labels.dtype == torch.int64


@pytest.mark.parametrize(("content", "message"), [
    (b"", "must be an IDX file"), (b"\x89PNG1234", "not 89 50 4e 47"), (bytes([0, 0, 13, 1, 0, 0, 0, 0]), "IDX file"),
    (idx_bytes((2, 2), range(3)), "must hold 16 bytes"), (idx_bytes((2, 2), range(5)), "must hold 16 bytes"),
    (idx_bytes((), []), "IDX file"),
])
def test_broken_file(tmp_path, content, message):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_idx(path)


def test_cut_gzip(tmp_path):
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(idx_bytes((200,), range(200)))[:-9])
    with pytest.raises(ValueError, match="complete gzip"):
        read_idx(path)


def test_broken_folders(tmp_path):
    with pytest.raises(ValueError, match="must hold train-images-idx3-ubyte"):
        idx_folder(tmp_path, "train")
    with pytest.raises(ValueError, match="split must be one of"):
        idx_folder(tmp_path, "valid")
    write_split(tmp_path, "train", 5)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes((4,), range(4)))
    with pytest.raises(ValueError, match=r"not \[5, 2, 3\] and \[4\]"):
        idx_folder(tmp_path, "train")


def test_fashion_comes_from_the_named_folder(tmp_path, monkeypatch):
    write_split(tmp_path, "t10k", 3)
    monkeypatch.setenv("VITRIC_FASHION", str(tmp_path))
    fashion.cache_clear()
    assert dataset("fashion", "test").labels.tolist() == [0, 1, 2]
    fashion.cache_clear()


def test_fashion_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(idx, "FASHION_FOLDERS", ("VITRIC_FASHION", str(tmp_path / "none")))
    monkeypatch.delenv("VITRIC_FASHION", raising=False)
    fashion.cache_clear()
    with pytest.raises(ValueError, match="dataset-fashion-mnist"):
        fashion("test")
    with pytest.raises(ValueError, match="data set must be one of 'digits', 'fashion', not 'cifar'"):
        dataset("cifar", "test")
