"""Models of every quantization method and width, one after the other on one accelerator, in its tests' build."""

from vitric.flow.compile import compile_model
from vitric.golden import load_float, quantize
from vitric.golden.data import digits
from vitric.golden.quantization.methods import METHODS
from vitric.golden.spec.command import ErrorCode
from vitric.hdl.accelerator import Accelerator

from tests.sim.test_accelerator import SPEC, STALL_LIMIT, simulate

WIDTHS = [(8, 8), (6, 6), (4, 8), (3, 3), (2, 2)]  # weights, activations
OPTIONS = [
    *({"method": name} for name in METHODS), {"granularity": "group"},
    *({"method": name, "w_bits": w_bits, "a_bits": a_bits} for name in ("mse", "ptq4vit") for w_bits, a_bits in WIDTHS),
]


def test_every_method_and_width_is_exact(monkeypatch):
    monkeypatch.setattr(Accelerator, "stall_limit", STALL_LIMIT)
    images = digits("test")[:len(OPTIONS)]
    models = [quantize(load_float("tiny"), digits("train")[:32], **options) for options in OPTIONS]
    compiled = [compile_model(model, SPEC) for model in models]
    columns = [item.input_words(images[n:n + 1])[0] for n, item in enumerate(compiled)]
    result = simulate(compiled[0], None, words=[item.stream.words for item in compiled], columns=columns,
                      cycle_limit=500_000)
    for number, (options, item, model) in enumerate(zip(OPTIONS, compiled, models, strict=True)):
        trace = {}
        golden = model(images[number:number + 1], trace)
        assert result.status[number] == (ErrorCode.OK, len(item.stream.commands())), options
        assert result.logits[number, :result.logit_counts[number]].tolist() == golden[0].tolist(), options
        comparison = item.compare(trace, 0, **result.records(number))
        assert comparison.mismatches == [] and comparison.ok, options
