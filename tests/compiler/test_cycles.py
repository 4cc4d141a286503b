import json
from dataclasses import replace

import pytest
from vitric.compiler.compile import compile_model
from vitric.compiler.cycles import predict
from vitric.compiler.timeline import Ring, Source
from vitric.golden.integer.random import random_integer_vit
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.spec.vit import VIT_CONFIGS
from vitric.golden.spec.word_rate import WordRate


def predicted(name, depth=None, **changes):
    config, spec = VIT_CONFIGS[name], replace(SPECS[name], **changes)
    config = replace(config, depth=depth or config.depth)
    stream = compile_model(random_integer_vit(config, seed=1, spec=spec), spec).stream
    return predict(stream.commands(), spec), stream


def test_ring_by_hand():
    ring = Ring(8)
    assert ring.fill(10, 5, 2) == 20  # all fit
    assert ring.fill(20, 3, 2) == 26  # now it is full
    ring.release(40, 5)
    ring.release(50, 3)
    assert ring.fill(26, 2, 2) == 44  # waits for the first release
    assert ring.fill(44, 4, 2) == 52 and ring.free == 2  # three more places, then the release at 50


def test_words_that_come_slowly():
    """The source of the model binds when it is slow enough, and then each word takes as long as it says."""
    _, stream = predicted("fashion")
    cycles = [predict(stream.commands(), SPECS["fashion"], WordRate(rate)).cycles for rate in (1, 1.5, 4, 20, 40)]
    assert cycles[0] == predict(stream.commands(), SPECS["fashion"]).cycles
    assert cycles == sorted(cycles) and cycles[2] > 4 * len(stream)
    assert (cycles[4] - cycles[3]) / (20 * len(stream)) == pytest.approx(1, rel=0.05)
    more = [predict(stream.commands(), SPECS["fashion"], WordRate(4, ahead)).cycles
            for ahead in (0, 16, 64, len(stream))]
    assert more == sorted(more, reverse=True) and more[-1] == cycles[0] < more[2] < more[0]


def test_a_source_by_hand():
    source = Source(WordRate(2.5, 4))
    assert source.take(0, 3) == 3  # ready, one per cycle; one more came, so that 2.2 are left
    assert source.take(3, 5) == pytest.approx(3 + (5 - 2.2) * 2.5)
    assert source.take(100, 6) == 106  # no more than four wait, and two come meanwhile
    assert source.take(106, 8) == pytest.approx(106 + (8 - (4 + 6 / 2.5 - 6)) * 2.5)
    ring, source = Ring(8), Source(WordRate(1.3))
    assert ring.fill(10, 4, 1, source) == 16  # rounded up


@pytest.mark.parametrize("name", ["tiny", "digits", "fashion"])
def test_bounds(name):
    prediction, stream = predicted(name)
    spec = prediction.spec
    assert prediction.cycles > prediction.beats and prediction.cycles > len(stream)
    assert [c.index for c in prediction.commands] == list(range(1, len(prediction.commands) + 1))
    done = [c.done for c in prediction.commands]
    assert done == sorted(set(done)) and prediction.cycles > done[-1]
    before = 0  # the last beat of the product before
    for command, step in zip(stream.commands(), prediction.commands, strict=True):
        f = command.fields
        written = {name: prediction.commands[f[name] - 1].done if f[name] else 0 for name in ("a_wait", "w_wait")}
        assert step.done >= step.fed >= written["w_wait"] and step.model_words == command.words
        assert step.done > written["a_wait"]
        products = f["sets"] * f["set_tiles"] * f["groups"] * f["k_words"] * len(command.passes) if step.beats else 0
        assert step.beats == products
        if step.beats:
            # a tile takes its beats or its columns, whichever is more, and no other product runs meanwhile
            tiles = f["sets"] * f["set_tiles"] * f["groups"]
            pace = max(f["k_words"] * len(command.passes), spec.cols // spec.drain_cols)
            assert step.fed - before >= tiles * pace
            before = step.fed
    macs = prediction.beats * spec.macs_per_cycle
    config = VIT_CONFIGS[name]
    assert macs >= config.total_macs * (config.depth - 1) / config.depth  # not all of the last block
    assert prediction.utilization == prediction.beats / prediction.cycles < 1
    assert prediction.mean_bytes_per_cycle < prediction.peak_bytes_per_cycle


def test_deit_tiny_is_bound_by_its_beats():
    prediction, _ = predicted("deit_tiny", depth=2)
    proj, norm2, fc1, fc2, norm1 = prediction.commands[13:18]
    assert [step.name for step in (norm2, fc1, fc2, norm1)] == ["NORM", "MATMUL CODES", "MATMUL RESIDUAL", "NORM"]
    assert fc1.beats == fc2.beats == 96 * 25 * 12
    assert fc1.fed - proj.fed == pytest.approx(fc1.beats, rel=0.03)  # LayerNorm takes hardly any time of its own
    assert fc2.fed - fc1.fed == pytest.approx(fc2.beats, rel=0.001)
    block = fc2.fed - prediction.commands[2].fed
    assert sum(c.beats for c in prediction.commands[3:17]) > 0.97 * block


def test_the_last_block_works_on_what_is_read():
    prediction, stream = predicted("digits")
    assert [c.fields["groups"] for c in stream.commands()[-15:-1]] == [5, 5, *[1] * 12]  # of k and v on


def test_a_narrow_stream_is_slower_where_it_is_the_limit():
    wide, _ = predicted("digits", model_bits=128)
    narrow, stream = predicted("digits", model_bits=32)
    assert wide.cycles < narrow.cycles
    # the head sees one token: every weight is used once, and the stream sets the pace
    head = narrow.commands[-2]
    assert head.done - narrow.commands[-3].ready >= head.model_words - stream.commands()[-2].fields["columns"]


def test_a_small_ring_is_slower():
    roomy, _ = predicted("digits")
    tight, _ = predicted("digits", weight_words=16)
    assert tight.cycles > roomy.cycles and tight.beats == roomy.beats


def test_two_probability_buffers_are_not_slower():
    two, _ = predicted("digits")
    one, _ = predicted("digits", act_words=100)
    assert one.cycles >= two.cycles


def test_as_dict_is_json():
    prediction, _ = predicted("tiny")
    figures = json.loads(json.dumps(prediction.as_dict()))
    assert figures["cycles"] == prediction.cycles and len(figures["commands"]) == len(prediction.commands)
    assert figures["model_bytes"] == prediction.model_bytes
