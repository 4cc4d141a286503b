"""The driver against lines and boards on which everything can happen, in the transport's own time."""

import random
from collections import Counter

import pytest
from vitric.boards.host import Device, DeviceError, LinkFailure
from vitric.boards.image_queue import ImageQueue
from vitric.golden.spec.accelerator import SPECS

from tests.boards.hostile import Hostile
from tests.boards.software_board import SoftwareBoard

SPEC = SPECS["tiny"]
DEADLINE = 3 * 2.0 + 0.01  # three attempts of two seconds, as Device documents; a frame that has begun may end


def logits_of(columns):
    return tuple((columns[0] * (7 * k + 3) + columns[-1] * k) % 97 - 48 for k in range(SPEC.max_classes))


def session(seed, faults):
    """Yield (action, what it gave or raised, what is right) for some requests to a board that is spoiled so."""
    rng = random.Random(seed)
    random.seed(seed)  # the driver's first sequence number
    board = SoftwareBoard(SPEC, model=rng.randbytes(40), max_payload=48, infer=logits_of, image_words=60)
    line = Hostile(board, rng, (*faults, *["fine"] * rng.choice((0, 4, 40, 400))))
    device = Device(line)
    for _ in range(6):
        action = rng.choice(("info", "infer", "infer", "load", "run"))
        image, model, before = rng.randbytes(24), rng.randbytes(100), board.model
        requests = {"info": 1, "infer": 2, "load": 1 + 1 + 3 + 1 + 1,
                    "run": 1 + 2 + 1 + 2 * 3 + 2}[action]  # INFO, images, RUN, STATUS until a result of each, READ
        start, right = line.now, None
        try:
            if action == "load":
                found = device.load(model)
                assert board.model == model
            elif action == "info":
                found, right = device.info(), len(board.model) // 4
            elif action == "run":
                images = image, rng.randbytes(24)
                found, right = ImageQueue(device, 24, poll=0.1).infer(images), tuple(map(logits_of, images))
            else:
                found, right = device.infer(image), logits_of(image)
        except (LinkFailure, DeviceError, ValueError) as error:
            found = error
            assert str(error) and "\n" not in str(error)
            assert board.model in (before, model)
        assert line.now - start <= requests * DEADLINE
        yield action, found, right


def check_sound(found):
    """Assert that a sound board could have said so."""
    assert found.logits and found.label == found.logits.index(max(found.logits))
    assert 0 < found.cycles


def test_a_line_on_which_everything_happens():
    """Whatever the line does: the board's own answer to this very request, or one line in time."""
    seen = Counter()
    for seed in range(800):
        for action, found, right in session(seed, Hostile.LINE):
            seen[action, type(found).__name__] += 1
            if isinstance(found, LinkFailure):
                continue
            if action == "infer":
                assert (found.logits, found.label, found.cycles) == (right, right.index(max(right)), 2345)
            elif action == "info":
                assert found.model_words == right
            elif action == "run":
                assert tuple(result.logits for result in found.results) == right and found.cycles == 2020
            else:
                assert found is None
    assert len(seen) == 8 and min(seen.values()) > 10, seen


@pytest.mark.parametrize("faults", [Hostile.BOARD, Hostile.LINE + Hostile.BOARD + Hostile.END], ids=["board", "all"])
def test_a_board_that_says_anything(faults):
    """Whatever the board says: what a sound one could have said, or one line in time.

    A board that lies about its columns or its frames cannot take the image or the model: that is the ValueError.
    """
    seen = Counter()
    for seed in range(600):
        for action, found, _ in session(seed, faults):
            seen[action, type(found).__name__] += 1
            if action == "infer" and not isinstance(found, Exception):
                check_sound(found)
            if action == "run" and not isinstance(found, Exception):
                assert len(found.results) == 2
                for result in found.results:
                    check_sound(result)
    assert {kind for _, kind in seen} == {
        "DeviceInfo", "Result", "Run", "NoneType", "LinkFailure", "DeviceError", "ValueError"}, seen
