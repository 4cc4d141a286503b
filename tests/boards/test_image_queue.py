import random

import pytest
from vitric.boards.host import Device, DeviceError, LinkFailure
from vitric.boards.image_queue import ImageQueue
from vitric.boards.link import Kind, LinkError
from vitric.golden.spec.accelerator import SPECS

from tests.boards.software_board import SoftwareBoard

SPEC = SPECS["tiny"]  # two rows, 32-bit words
IMAGES = [random.Random(seed).randbytes(26) for seed in range(6)]


def infer(columns):
    return -300, sum(columns), sum(columns[:7])


def queue_on(board, **options):
    return ImageQueue(Device(board), 26, **options)


def board_with(**options):
    return SoftwareBoard(SPEC, **{"infer": infer, "image_words": 200, "max_payload": 64} | options)


def test_images_of_a_run():
    board, seen = board_with(), []
    run = queue_on(board).infer(IMAGES, seen.append)
    assert [result.logits for result in run.results] == [infer(image) for image in IMAGES]
    assert run.cycles == 6 * 1010
    assert seen == [1, 2, 3, 4, 5, 6]


def test_an_image_larger_than_a_frame():
    board, image = board_with(max_payload=12), bytes(200) + random.Random(1).randbytes(200)
    assert ImageQueue(Device(board), 400).infer([image]).results[0].logits == infer(image)


@pytest.mark.parametrize("damage", ["drop", "bad crc", "lose answer"])
@pytest.mark.parametrize("position", range(12))
def test_a_run_survives_one_fault(damage, position):
    board = board_with(damage=[None] * position + [damage])
    run = queue_on(board).infer(IMAGES[:2])
    assert [result.logits for result in run.results] == [infer(image) for image in IMAGES[:2]]


def test_slots_that_are_filled_during_a_run():
    queue = queue_on(board_with())
    queue.put(0, IMAGES[0])
    for k in range(1, 6):
        queue.start((k - 1) % 2, 1)
        queue.put(k % 2, IMAGES[k])
        assert queue.wait().done == 1
        assert queue.result((k - 1) % 2).logits == infer(IMAGES[k - 1])
    queue.start(0, 2)
    with pytest.raises(DeviceError, match="busy"):
        queue.start(1, 1)


def test_an_image_that_the_accelerator_refuses():
    board = board_with(infer=lambda columns: None if columns == IMAGES[2] else infer(columns))
    with pytest.raises(DeviceError, match=r"accelerator error 5 \(bad crc\) at command 17"):
        queue_on(board).infer(IMAGES)
    assert board.status["done"] == 3


def test_a_run_that_stands_still_is_given_up():
    board = board_with()
    board.step = lambda word: None
    with pytest.raises(LinkFailure, match="no result of image 0 of the run in 6 seconds"):
        queue_on(board).infer(IMAGES)
    assert board.breaks == 1


def test_what_cannot_be():
    with pytest.raises(ValueError, match="has no image memory"):
        queue_on(SoftwareBoard(SPEC))
    with pytest.raises(ValueError, match="columns of 2 bytes, not 7 bytes"):
        ImageQueue(Device(board_with()), 7)
    with pytest.raises(ValueError, match="image memory of the board has 12"):
        queue_on(board_with(image_words=12))
    queue = queue_on(board_with())
    last = queue.slots.count - 1
    for wrong in (lambda: queue.put(last + 1, IMAGES[0]), lambda: queue.start(last, 2), lambda: queue.result(-1)):
        with pytest.raises(ValueError, match=f"slot must be between 0 and {last}"):
            wrong()
    with pytest.raises(ValueError, match="an image must have 26 bytes, not 25"):
        queue.put(0, bytes(25))


def test_a_slot_that_the_board_refuses():
    board = board_with()
    queue = queue_on(board)
    board.step = lambda word: board.status.update(running=0, reason=LinkError.BAD_SLOT)
    with pytest.raises(DeviceError, match="refused the request 0x07: bad slot"):
        queue.infer(IMAGES)
    assert Kind.READ not in board.requests


@pytest.mark.parametrize(("status", "message"), [
    ({"running": 0}, "the run ended after 0 of 6 images, and the board says no reason"),
    ({"done": 7}, "a run of 6 images had 0 results, and now has 7")])
def test_a_status_that_cannot_be(status, message):
    board = board_with()
    board.step = lambda word: board.status.update(status)
    with pytest.raises(LinkFailure, match=message):
        queue_on(board).infer(IMAGES)


def test_results_that_vanish():
    board, told = board_with(), iter((3, 4, 2))
    board.step = lambda word: board.status.update(done=next(told))
    with pytest.raises(LinkFailure, match="had 4 results, and now has 2"):
        queue_on(board).infer(IMAGES)
