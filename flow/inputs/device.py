"""What the commands that talk to a board share: opening it, and errors that the user can put right."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from vitric.golden.errors import UserError

if TYPE_CHECKING:
    from vitric.boards.host import Device, DeviceInfo, Result
    from vitric.golden.spec.accelerator import AcceleratorSpec

__all__ = ["SPEEDS", "infer_all", "matching_info", "open_device", "speed_up"]

SPEEDS = (3_000_000, 2_000_000, 1_500_000)
"""Speeds of a serial line that are tried when a faster one is wanted, fastest first."""

_LOOKS, _LOOK_SECONDS = 200, 0.05
"""How often a board is asked whether it has looked at its flash, and how long is waited in between."""

_PATIENCE = 2.0
"""Seconds that a board may compute for one request."""


@contextmanager
def open_device(port: str, baud: int) -> Iterator["Device"]:
    """Open the board at a serial port for the block, and end whatever it was doing.

    A request ends within three times 2 s and 200 000 bit times: 6.6 s at 1 Mbaud.

    Raises
    ------
    UserError
        ``baud`` is no rate of a serial line, the port cannot be opened, the line fails, the board does not answer or
        not as it must, it refuses a request, or it cannot take what the block gives it.
    """
    from vitric.boards.host import Device, DeviceError, LinkFailure, SerialTransport
    from vitric.boards.link import GAP_BITS
    from vitric.golden.spec.check import check_int

    try:
        check_int("baud", baud, 1200, 12_000_000)
    except ValueError as error:
        raise UserError(str(error)) from error
    gap = GAP_BITS / baud
    try:
        transport = SerialTransport(port, baud)
        try:
            device = Device(transport, timeout=_PATIENCE + 2 * gap, gap=gap, baud=baud)
            device.abort()  # it may have another speed, from a process that was killed
            yield device
        finally:
            transport.close()
    except (LinkFailure, DeviceError, ValueError) as error:
        raise UserError(f"{port}: {error}") from error


def matching_info(device: "Device", spec: "AcceleratorSpec", what: str) -> "DeviceInfo":
    """Ask a board what it is, and check that it is built for ``spec``; wait while it looks for a model in its flash.

    Parameters
    ----------
    device : Device
    spec : AcceleratorSpec
    what : str
        Names, for the message, what is for this spec.

    Raises
    ------
    UserError
        The board has another spec, or does not come to an end with looking for a model in its flash.
    LinkFailure
        It does not answer, or contradicts the spec that it says it has.
    """
    from vitric.boards.flash_image import FlashState

    info = device.info()
    if info.spec_hash != spec.hash:
        raise UserError(f"the board has the spec {info.spec_hash:#010x}, {what} is for the spec {spec.name} "
                        f"({spec.hash:#010x})")
    info.check_spec(spec)
    for _ in range(_LOOKS):
        if info.flash_state != FlashState.LOOKING:
            return info
        time.sleep(_LOOK_SECONDS)
        info = device.info()
    raise UserError(f"the board has looked for a model in its flash for {_LOOKS * _LOOK_SECONDS:.0f} s, and still does")


def speed_up(device: "Device", limit: int) -> int:
    """Ask a board for the fastest speed up to ``limit`` baud that both can have; return the speed that it has then."""
    for baud in SPEEDS:
        if device.baud < baud <= limit:
            with suppress(ValueError):  # the board's clock does not divide so
                if device.set_speed(baud):
                    return baud
    return device.baud


def infer_all(device: "Device", images: "Sequence[bytes]",
              progress: "Callable[[int], object]" = lambda done: None) -> "tuple[list[Result], int | None]":
    """Run images of one size on a board.

    Returns their results, and the clock cycles of the whole if the images lay in the board's memory, where they follow
    each other without the serial line. ``progress`` is given the number of results.
    """
    from vitric.boards.image_queue import ImageQueue

    results: list[Result] = []
    if not device.info().image_words:
        for image in images:
            results.append(device.infer(image))
            progress(len(results))
        return results, None
    queue, cycles = ImageQueue(device, len(images[0])), 0
    for first in range(0, len(images), queue.slots.count):
        run = queue.infer(images[first:first + queue.slots.count], lambda done: progress(first + done))  # noqa: B023
        results += run.results
        cycles += run.cycles
    return results, cycles
