import pytest
import torch
from vitric.golden import digits, load_float, quantize
from vitric.golden.errors import ModelWarning
from vitric.golden.quantization.lowering.logit_range import HEADROOM, OUTLIER, clamp_logits

MASKED = 3

pytestmark = pytest.mark.usefixtures("one_thread")


def masked(bias):
    model = load_float("tiny")
    with torch.no_grad():
        model.head.bias[MASKED] = bias
    return model


@pytest.mark.parametrize("bias", [-1e5, -1e30])
def test_a_masked_class_leaves_the_others_as_they_are(bias):
    images = digits("test")[:64]
    with pytest.warns(ModelWarning, match=rf"^head: logits of class {MASKED} reach 1e\+\d+, .* are clamped to "):
        found = quantize(masked(bias), digits("train")[:64], w_bits=8, a_bits=8)(images)
    plain = quantize(load_float("tiny"), digits("train")[:64], w_bits=8, a_bits=8)(images)
    others = [index for index in range(10) if index != MASKED]
    scale = (found[:, others] * plain[:, others]).sum() / plain[:, others].square().sum()
    error = (found[:, others] - scale * plain[:, others]).square().sum() / found[:, others].square().sum()
    assert float(error) < 1e-4
    assert (found[:, MASKED] < found[:, others].amin(1)).all()


def test_limit():
    logits = torch.tensor([[[2.0, -3.0, 1.0, -3.0 * OUTLIER]], [[-1.0, 4.0, 1.5, 5.0]]])
    bias = torch.tensor([0.5, 200.0, 0.0, -3.0 * OUTLIER])
    with pytest.warns(ModelWarning, match="class 3 reach 192, those of the others 4; they are clamped to 64 "):
        clamped, target = clamp_logits(bias, logits)
    assert clamped.tolist() == [0.5, 200.0, 0.0, -4.0 * HEADROOM]
    assert target.tolist() == [[[2.0, -3.0, 1.0, -4.0 * HEADROOM]], [[-1.0, 4.0, 1.5, 5.0]]]
    logits = logits.clamp(min=-2.0 * OUTLIER)  # exactly at the bound: the median class reaches 2
    assert all(x is y for x, y in zip(clamp_logits(bias, logits), (bias, logits), strict=True))


def test_many_classes_are_named_in_short():
    logits = torch.ones(1, 1, 30)
    logits[..., :12] = 1e4
    with pytest.warns(ModelWarning, match="class 0, 1, 2, 3, 4, 5, 6, 7 and 4 more reach "):
        clamp_logits(torch.zeros(30), logits)


def test_without_a_scale_nothing_is_an_outlier():
    logits = torch.tensor([[[0.0, 0.0, 1e5]]])
    assert clamp_logits(torch.zeros(3), logits)[1] is logits
