"""What the tests of quantization share."""

import torch
from vitric.golden import digits

IMAGES = digits("train")[:16]


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)
