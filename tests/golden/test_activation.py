"""Activations: of a number against decimal arithmetic of 60 digits, of a tensor against that of a number."""

import math
from decimal import Decimal, getcontext

import pytest
import torch
from vitric.golden.activation import ACTIVATIONS
from vitric.golden.spec.vit import ACT_LAYERS

POINTS = (*(step / 8 for step in range(-64, 65)), -40.0, -20.0, -1e-9, 1e-9, 20.0, 500.0, -40.5)


def logistic(x):
    return 1 / (1 + (-x).exp())


def quick_gelu(x):
    return x * logistic(Decimal("1.702") * x)


def gelu_tanh(x):
    pi = Decimal("3.14159265358979323846264338327950288419716939937510")
    return x * logistic(2 * (2 / pi).sqrt() * (x + Decimal("0.044715") * x**3))


@pytest.mark.parametrize(("name", "wanted"), [("quick_gelu", quick_gelu), ("gelu_tanh", gelu_tanh)])
def test_of_a_number(name, wanted):
    getcontext().prec = 60
    for x in POINTS:
        assert ACTIVATIONS[name].of_number(x) == pytest.approx(float(wanted(Decimal(x))), rel=1e-12, abs=1e-300), x


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_of_a_tensor_and_where_it_is_flat(name):
    activation = ACTIVATIONS[name]
    wanted = [activation.of_number(x) for x in POINTS]
    got = activation.of_tensor(torch.tensor(POINTS, dtype=torch.float64))
    torch.testing.assert_close(got, torch.tensor(wanted, dtype=torch.float64), rtol=1e-9, atol=1e-12)
    assert all(-0.0002 < y <= 0 for x, y in zip(POINTS, wanted, strict=True) if x < activation.flat)
    assert min(wanted) < -0.16 and math.isclose(wanted[-2], 500)


def test_names():
    assert tuple(ACTIVATIONS) == ACT_LAYERS
