"""Quantization methods: what each adds to the plain one, and that every one ends in an integer model that works."""

import pytest
import torch
from vitric.golden import load_float, quantize
from vitric.golden.data.sets import digits
from vitric.golden.integer.code_table import twin_uniform_values
from vitric.golden.quantization import quantize_with_scales, reference
from vitric.golden.quantization.codes.books import HIDDEN, PROBABILITIES, fit_book
from vitric.golden.quantization.codes.channels import free, outliers, power_of_two
from vitric.golden.quantization.codes.maps import BookCodes, CentredCodes, NarrowCodes, UnsignedCodes
from vitric.golden.quantization.codes.observers import minmax, mse, rounded_scales
from vitric.golden.quantization.methods import METHODS, Method, method
from vitric.golden.train import accuracy

from tests.golden.quantization.quantize_kit import normal, tensor

CALIBRATION, TEST = digits("train")[:64], digits("test")


def linears(model):
    for block in model.blocks:
        yield from (block.attn.q, block.attn.k, block.attn.v, block.attn.proj, block.mlp.fc1, block.mlp.fc2)
    yield from (model.patch_embed, model.head)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_keeps_the_digits(name):
    model = quantize(load_float("digits"), CALIBRATION, method=name)
    assert accuracy(model, TEST) > 0.93  # float 98.06 %; chance 10 %
    recipe = METHODS[name]
    for block in model.blocks:
        table = block.attn.softmax_table
        assert (table is None) == (recipe.probabilities == "uniform")
        if table is not None:
            assert len(table.unique()) <= 16 and table[0] == 0 and block.attn.softmax_bits == 8
        assert block.mlp.fc2.a_bits == (4 if recipe.hidden in ("uniform", "spare") else 8)
        assert len(block.mlp.gelu.unique()) <= 16


def test_few_bits_and_wide_ranges():
    """The ranges of all queries and keys, in three bits: steps of the scores that are too large for the unit."""
    model = quantize(load_float("digits"), CALIBRATION, method="fq_vit", w_bits=3, a_bits=3)
    assert max(int(block.attn.score_multiplier.max()) for block in model.blocks) == 65535
    assert accuracy(model, TEST) > 0.75
    assert quantize(load_float("tiny"), CALIBRATION, method="minmax", w_bits=2, a_bits=2).info["w_bits"] == "2"


def test_power_of_two_scales_make_every_multiplier_one():
    model = quantize(load_float("digits"), CALIBRATION, method="p2_vit")
    contexts = [block.attn.context.multiplier for block in model.blocks]
    for multiplier in [*(layer.requantizer.multiplier for layer in linears(model)), *contexts]:
        assert (multiplier & multiplier - 1 == 0).all() and (multiplier > 0).all()
    plain = quantize(load_float("digits"), CALIBRATION, method="mse_plain")
    assert any((layer.requantizer.multiplier & layer.requantizer.multiplier - 1 != 0).any() for layer in linears(plain))


def test_width_of_probabilities_follows_the_method():
    tiny = load_float("tiny")
    assert quantize(tiny, CALIBRATION, method="minmax").info["softmax_bits"] == "8"
    assert quantize(tiny, CALIBRATION, method="fq_vit", a_bits=3).info["softmax_bits"] == "3"
    assert quantize(tiny, CALIBRATION, method="fq_vit", softmax_bits=5).info["softmax_bits"] == "5"


def test_probability_codes_stand_for_their_values():
    lowered = quantize_with_scales(load_float("digits"), CALIBRATION, method="ptq4vit")
    trace = {}
    lowered.model(CALIBRATION, trace, every_token=True)
    for name in (name for name in trace if name.endswith("softmax")):
        assert set(trace[name].unique().tolist()) <= set(lowered.quantities[name].codes.values)
        rows = lowered.quantities[name].decode(trace[name]).sum(-1)
        assert 0.85 < rows.mean() < 1.15  # probabilities sum to about 1


# Code books


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("registry", [PROBABILITIES, HIDDEN], ids=["probabilities", "hidden"])
def test_books_are_legal(registry, bits):
    for name, make in registry.items():
        candidates = make(bits) if registry is PROBABILITIES else make(bits, 4)
        assert candidates, name
        for codes in candidates:
            assert 0 <= codes.low < codes.high <= 255
            if isinstance(codes, BookCodes):
                assert list(codes.values) == sorted(set(codes.values)) and len(codes.values) <= 1 << bits
                between = name in ("adaptive_log", "spare") and codes.low < codes.zero < codes.high
                assert codes.zero in codes.values or between


def test_book_codes():
    codes = BookCodes(8, (0, 2, 3, 4, 8, 16), 3)
    scale, zero = codes.fit(tensor(-1.0, -9.0, 0.0), tensor(6.5, 1.0, 0.0))
    assert scale.tolist() == [0.5, 3.0, 1.0] and zero.tolist() == [3, 3, 3]
    x = torch.arange(-5, 20, dtype=torch.float64)
    encoded = codes.encode(x, tensor(1.0), torch.tensor(3))
    for real, code in zip((x + 3).tolist(), encoded.tolist(), strict=True):
        assert abs(real - code) == min(abs(real - value) for value in codes.values)
    assert codes.decode(encoded[:1], tensor(1.0), torch.tensor(3)).tolist() == [-3.0]


def test_books_of_published_methods():
    assert PROBABILITIES["log_sqrt2"](4)[0].values == (0, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 90, 128, 180, 255)
    assert [codes.values for codes in PROBABILITIES["twin_uniform"](4)] == [
        twin_uniform_values(4, shift) for shift in range(1, 6)]
    fine, coarse = HIDDEN["twin_uniform"](3, 4)[2].values, HIDDEN["twin_uniform"](3, 4)[2].zero
    assert (fine, coarse) == ((0, 1, 2, 3, 4, 8, 12, 16), 4)  # four below zero, then steps of four


def test_logarithm_of_gelu_outputs():
    """AdaLog: ``x + b = s * 2**(-k * octaves)`` for code k, b the distance of GELU's least value from 0."""
    half = [codes for codes in HIDDEN["adaptive_log"](4, 4) if codes.values == PROBABILITIES["log_sqrt2"](4)[0].values]
    assert [codes.zero for codes in half] == [3, 4, 6, 8, 11, 16, 23, 32, 45, 64]
    codes = half[5]
    scale, zero = codes.fit(tensor(-0.17), tensor(2.0))
    assert zero.tolist() == [16] and scale.tolist() == [max(2 / (255 - 16), 0.17 / 16)]
    steps = codes.decode(torch.tensor(codes.values), scale, zero) + zero * scale
    wanted = 255 * scale * torch.exp2(-torch.arange(15, dtype=torch.float64) / 2)
    assert steps[0] == 0 and torch.allclose(steps[1:], wanted.flip(0), atol=0.501 * float(scale))


def test_a_logarithm_suits_gelu_outputs():
    gelu = torch.nn.functional.gelu(1.5 * normal(4000) - 2)
    errors = {}
    for name, candidates in (("uniform", HIDDEN["uniform"](4, 4)), ("log", HIDDEN["adaptive_log"](4, 4))):
        found = fit_book("x", gelu, candidates, mse, torch.ones_like(gelu), torch.Generator())
        errors[name] = float((found.decode(found.encode(gelu)) - gelu).square().mean())
    assert -0.7 < found.decode(torch.tensor(0)) < -0.15 and errors["log"] < errors["uniform"] / 2


def test_books_where_they_take_no_more_planes():
    """On ports of 4 bits codes of 4 bits take one plane and values of 8 two, as codes of 5 bits do."""
    assert HIDDEN["spare"](4, 4) == (UnsignedCodes(4),) and HIDDEN["spare"](8, 4) == (UnsignedCodes(8),)
    for bits, plane_bits in ((5, 4), (7, 4), (4, 8)):
        first, *books = HIDDEN["spare"](bits, plane_bits)
        assert first == UnsignedCodes(bits)
        assert {*books} == {*HIDDEN["twin_uniform"](bits, plane_bits), *HIDDEN["adaptive_log"](bits, plane_bits)}
        assert all(len(codes.values) <= 1 << bits for codes in books)


@pytest.mark.parametrize(("levels", "kind"), [(17, UnsignedCodes), (20, BookCodes)])
def test_uniform_codes_stay_unless_a_book_saves_a_fifth(levels, kind):
    """Of even samples so many even levels save the square of the steps' ratio to those of 4 bits: 12 and 38 %."""
    x = torch.linspace(0, 1, 3000, dtype=torch.float64)
    candidates = UnsignedCodes(4), BookCodes(8, tuple(round(255 * step / (levels - 1)) for step in range(levels)))
    found = fit_book("x", x, candidates, mse, torch.ones_like(x), torch.Generator())
    assert isinstance(found.codes, kind)


def test_fit_book_finds_the_distance_of_the_steps():
    values = tensor(*twin_uniform_values(4, 4)) * 0.01
    x = values[torch.randint(len(values), (3000,), generator=torch.Generator().manual_seed(0))]
    found = fit_book("x", x, PROBABILITIES["twin_uniform"](4), mse, torch.ones_like(x), torch.Generator())
    assert found.codes.values == twin_uniform_values(4, 4) and float(found.scale) == pytest.approx(0.01)
    assert torch.allclose(found.decode(found.encode(x)), x)


# Channels, scales, regression


def test_power_of_two_factors_by_hand():
    x = tensor(8.0, -7.9, 4.0, 2.1, 1.0, 0.1)[None] * tensor(0.5, 1.0)[:, None]
    offset, factor = power_of_two(x)
    assert offset == 0 and factor.tolist() == [1, 1, 0.5, 0.5, 0.125, 0.125]


def test_outlier_channels_get_a_power_of_two():
    x = normal(400, 12)
    x[:, 3] *= 18
    x[:, 7] *= 15
    _, factor = outliers(x)
    assert factor.tolist() == [16.0 if channel in (3, 7) else 1.0 for channel in range(12)]
    assert outliers(normal(400, 12))[1].tolist() == [1.0] * 12
    assert outliers(torch.zeros(4, 3, dtype=torch.float64))[1].tolist() == [1.0] * 3


@pytest.mark.parametrize(
    "codes", [UnsignedCodes(4), CentredCodes(4), NarrowCodes(4, 4)], ids=lambda codes: type(codes).__name__)
@pytest.mark.parametrize("shift", [-0.3, 0.0, 0.3])
def test_rounded_scales_are_the_better_power_of_two(codes, shift):
    x = normal(3, 500) * 1.3 + shift
    scale, zero = rounded_scales(minmax)(x, codes)
    assert torch.equal(torch.log2(scale), torch.log2(scale).round())
    exact, _ = minmax(x, codes)
    assert ((scale >= exact / 2) & (scale <= exact * 2)).all()

    def error(step):
        y = codes.decode(codes.encode(x, step[:, None], zero[:, None]), step[:, None], zero[:, None])
        return (y - x).square().sum(1)

    if not isinstance(codes, UnsignedCodes):  # whose zero point depends on the scale
        others = torch.where(scale > exact, scale / 2, scale * 2)
        assert (error(scale) <= error(others)).all()


def test_regression_makes_up_for_rounded_inputs():
    plain = Method(weights=mse, activations=mse)
    adapted = Method(weights=mse, activations=mse, regression="ridge")
    errors = []
    for index, recipe in enumerate((plain, adapted)):
        with pytest.MonkeyPatch.context() as patch:
            for module in ("methods", "settings"):
                patch.setattr(f"vitric.golden.quantization.{module}.METHODS", {**METHODS, f"test{index}": recipe})
            lowered = quantize_with_scales(load_float("digits"), CALIBRATION, method=f"test{index}", w_bits=8, a_bits=3)
        trace = {}
        lowered.model(CALIBRATION, trace, every_token=True)
        wanted = reference(lowered, CALIBRATION)["head"]
        errors.append(float((lowered.quantities["head"].decode(trace["head"]) - wanted).square().mean()))
    assert errors[1] < 0.8 * errors[0]


def test_rejected_parts():
    for name in ("channels", "probabilities", "hidden"):
        with pytest.raises(ValueError, match=f"{name} must be one of"):
            Method(weights=mse, activations=mse, **{name: "none"})
    with pytest.raises(ValueError, match="softmax_bits must be between 2 and 8, not 9"):
        quantize(load_float("tiny"), CALIBRATION, method="fq_vit", softmax_bits=9)
    assert free(normal(40, 3))[0].shape == (3,)


def test_methods_and_their_parts_have_names():
    assert method("mse").rounding == "compensated"
    with pytest.raises(ValueError, match="method must be one of .*'percentile', .*, not 'x'"):
        method("x")
    with pytest.raises(ValueError, match="rounding must be one of 'nearest', 'compensated', not 'up'"):
        Method(weights=mse, activations=mse, rounding="up")
