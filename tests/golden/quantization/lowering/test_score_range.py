import math

import pytest
import torch
from vitric.golden.quantization.lowering.score_range import score_steps
from vitric.golden.spec.softmax import SoftmaxSpec

from tests.golden.quantization.quantize_kit import tensor

SPEC = SoftmaxSpec(lanes=1, max_length=8)
NATS = math.log(2)  # of an octave


def one_query(*octaves):
    """Return queries and keys (1, T, 1), head_dim 1, whose scores are ``octaves`` and, for the second query, half."""
    return tensor(1.0, 0.5)[None, :, None], tensor(*octaves)[None, :, None] * NATS


def test_range_of_the_unit():
    for within in (127.9, -127.9):
        assert score_steps("s", *one_query(within, 0.0), 1, SPEC).tolist() == [1.0]
    narrow = SoftmaxSpec(lanes=1, max_length=8, score_bits=14)
    q, k = one_query(33.0, 31.0, 32.0)
    assert score_steps("s", q, k, 1, narrow).tolist() > [1.0]
    assert score_steps("s", q, k, 1, SPEC).tolist() == [1.0]


def test_saturation_that_costs_nothing_keeps_the_step():
    """One key wins every row, before and after saturation."""
    assert score_steps("s", *one_query(600.0, 0.0, -600.0), 1, SPEC).tolist() == [1.0]


def test_a_coarser_step_tells_keys_apart():
    """160 and 200 octaves saturate to the same score; at twice the step the larger one wins again."""
    (step,) = score_steps("s", *one_query(200.0, 160.0), 1, SPEC).tolist()
    assert step in (2**0.5, 2.0)
    assert 200 / step > 160 / step + 20 and 160 / step < 128


def test_each_head_has_its_own_step():
    q, steep = one_query(200.0, 160.0)
    _, gentle = one_query(20.0, 16.0)
    steps = score_steps("s", q.repeat(1, 1, 2), torch.cat([gentle, steep], dim=2), 2, SPEC).tolist()
    assert steps[0] == 1.0 < steps[1]


def test_what_no_step_can_hold_names_the_head():
    """Keys a few octaves apart, some of them 4000 octaves up: at a range of 16 times they are all the same."""
    q, k = one_query(4000.0, 4002.0, 4004.0, -4000.0)
    gentle = torch.zeros_like(k)
    with pytest.raises(ValueError, match=r"^blocks.1.attn.scores: scores of head 1 reach 4004 octaves .* holds 128; "):
        score_steps("blocks.1.attn.scores", q.repeat(1, 1, 2), torch.cat([gentle, k], dim=2), 2, SPEC)
