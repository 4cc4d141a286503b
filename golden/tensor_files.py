"""Tensors by name in files, safetensors and torch's: read without executing anything, and what is wrong in one line."""

import pickle
import re
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

__all__ = ["read_metadata", "read_safetensors", "read_torch"]

_POINTER = b"version https://git-lfs.github.com/spec/"
_ZIP = b"PK"  # how the files of torch.save begin, from version 1.6 on
_CUT_SHORT = (EOFError, IndexError, OSError, struct.error)  # what torch.load raises at the end of half a file


def _begin(path: Path) -> bytes:
    """Return the first bytes of a file; ValueError for what Git LFS leaves in place of a file."""
    with path.open("rb") as file:
        begin = file.read(len(_POINTER))
    if begin == _POINTER:
        raise ValueError(f"{path} is a Git LFS pointer, not the file itself; `git lfs pull` brings that")
    return begin


@contextmanager
def _opened(path: Path) -> Iterator[safe_open]:
    _begin(path)
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise ValueError(f"{path} is not a complete safetensors file: {error}") from error


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a safetensors file; errors are those of :func:`read_safetensors`."""
    with _opened(path) as file:
        return file.metadata() or {}


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a safetensors file by name.

    Raises
    ------
    OSError
        The file cannot be opened.
    ValueError
        It is damaged, not of this format, or a pointer of Git LFS.
    """
    with _opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)


def read_torch(path: Path) -> object:
    """Return what ``torch.save`` wrote, if that is tensors and plain values: nothing in the file is executed.

    Raises
    ------
    OSError
        The file cannot be opened.
    ValueError
        It is cut short, a pointer of Git LFS, or holds something else; the message names the first such class.
    """
    begin = _begin(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle may raise anything
        raise ValueError(f"{path} {_fault(path, begin, error)}") from error


def _fault(path: Path, begin: bytes, error: Exception) -> str:
    """Return what is wrong with a file of torch's that begins so, which torch.load refused with ``error``."""
    text = str(error)
    if isinstance(error, pickle.UnpicklingError) and (found := re.search(r"GLOBAL ([\w.]+)", text)):
        return f"holds {found[1]}: save its state_dict alone"
    unfinished = begin.startswith(_ZIP) and not zipfile.is_zipfile(path)
    if unfinished or isinstance(error, _CUT_SHORT) or "unexpected EOF" in text:
        return "is not a complete file of torch.save's"
    lines = text.rpartition("WeightsUnpickler error: ")[2].strip().splitlines()
    reason = lines[0].partition(". ")[0] if lines else type(error).__name__
    return f"cannot be read as tensors alone: {reason}"
