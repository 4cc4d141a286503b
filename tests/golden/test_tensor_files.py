"""Files of tensors that are damaged, cut short, or hold something else: one line says what."""

import pickle
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from vitric.golden.tensor_files import read_metadata, read_safetensors, read_torch

STATE = {"a.weight": torch.arange(12.0).reshape(3, 4), "a.bias": torch.ones(3)}
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 346284714\n"


def message(read, path):
    with pytest.raises(ValueError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("zipped", [True, False])
def test_torch_files(tmp_path, zipped):
    path = tmp_path / "model.pth"
    torch.save({"model": STATE, "epoch": 3}, path, _use_new_zipfile_serialization=zipped)
    found = read_torch(path)
    assert found["epoch"] == 3 and all(found["model"][name].equal(tensor) for name, tensor in STATE.items())
    content = path.read_bytes()
    for size in (0, 4, 30, 500, len(content) // 2, len(content) - 30, len(content) - 1):
        path.write_bytes(content[:size])
        assert message(read_torch, path) == f"{path} is not a complete file of torch.save's"


@pytest.mark.parametrize("zipped", [True, False])
def test_what_else_a_file_holds_is_named(tmp_path, zipped):
    path = tmp_path / "model.pth"
    torch.save({"model": STATE, "args": Namespace(lr=1)}, path, _use_new_zipfile_serialization=zipped)
    assert message(read_torch, path) == f"{path} holds argparse.Namespace: save its state_dict alone"


def test_files_of_other_programs(tmp_path):
    path = tmp_path / "model.pth"
    path.write_bytes(b"no pickle")
    assert "cannot be read as tensors alone: " in message(read_torch, path)
    path.write_bytes(pickle.dumps([1], protocol=5))
    assert "cannot be read as tensors alone: " in message(read_torch, path)


@pytest.mark.parametrize("read", [read_torch, read_safetensors, read_metadata])
def test_a_pointer_of_git_lfs(tmp_path, read):
    path = tmp_path / "model.bin"
    path.write_text(POINTER)
    assert message(read, path) == f"{path} is a Git LFS pointer, not the file itself; `git lfs pull` brings that"


def test_safetensors(tmp_path):
    path = Path(tmp_path / "model.safetensors")
    save_file(STATE, path, metadata={"some": "text"})
    assert read_metadata(path) == {"some": "text"} and read_safetensors(path).keys() == STATE.keys()
    content = path.read_bytes()
    for size in (0, 7, 40, len(content) - 1):
        path.write_bytes(content[:size])
        for read in (read_metadata, read_safetensors):
            assert message(read, path).startswith(f"{path} is not a complete safetensors file: ")
