"""Rows of scores for the softmax unit, and the codes that golden expects of them."""

import random

import torch
from vitric.golden.integer.softmax import softmax
from vitric.hdl.softmax import Softmax

from tests.hdl.stream_kit import transform


def beats(spec, rows, seed=0):
    """Input and expected output beats of ``rows``, pairs of scores ``[lanes][n]`` and offset.

    Junk are the offset except in the last beat of a row, and scores of columns that do not count; codes of these are
    None in the output.
    """
    rng = random.Random(f"offsets/{seed}")
    half, offsets = 1 << spec.score_bits - 1, 1 << spec.offset_bits - 1
    sent, expected = [], []
    for x, offset in rows:
        x = torch.as_tensor(x)
        codes = softmax(x, spec, offset=offset)
        length = x.shape[1]
        for begin in range(0, length, spec.columns):
            last = int(begin + spec.columns >= length)
            columns = range(begin, min(begin + spec.columns, length))
            absent = spec.columns - len(columns)
            sent.append({
                "x": [x[:, column].tolist() for column in columns]
                + [[rng.randrange(-half, half) for _ in range(spec.lanes)] for _ in range(absent)],
                "mask": (1 << len(columns)) - 1, "last": last,
                "offset": offset if last else rng.randrange(-offsets, offsets)})
            expected.append({"code": [codes[:, column].tolist() for column in columns] + [None] * absent, "last": last})
    return sent, expected


def counting(got, sent):
    """``got`` with None for the codes of columns that do not count."""
    return [{**beat, "code": [code if put["mask"] >> column & 1 else None for column, code in enumerate(beat["code"])]}
            for beat, put in zip(got, sent, strict=True)]


def random_rows(spec, lengths, seed):
    """Rows of every temper: narrow, wide, over the whole range, at its ends; offsets that use the code range."""
    rng = random.Random(f"rows/{seed}")
    half = 1 << spec.score_bits - 1
    unit = 1 << spec.frac_bits
    for length in lengths:
        lanes = []
        for _ in range(spec.lanes):
            temper = rng.choice(("narrow", "wide", "any", "ends"))
            centre = rng.randrange(-half, half)
            sigma = {"narrow": 2 * unit, "wide": 10 * unit}.get(temper, 0)
            lanes.append([
                rng.randrange(-half, half) if temper == "any"
                else rng.choice((-half, half - 1)) if temper == "ends"
                else max(-half, min(half - 1, round(rng.gauss(centre, sigma)))) for _ in range(length)
            ])
        low, high = (-unit, 2 * unit) if spec.logarithmic else (0, 10 * unit)
        yield lanes, rng.choice((rng.randint(low, high), rng.randint(low, high), -32 * unit, 32 * unit - 1))


def check(spec, rows, **stalls):
    sent, expected = beats(spec, rows, stalls.get("seed", 0))
    got, checkers = transform(Softmax(spec), sent, **stalls)
    assert counting(got, sent) == expected, f"seed {stalls.get('seed', 0)}"
    return checkers
