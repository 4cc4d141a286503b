"""The host's end of the image memory: images into its slots, runs over them, results out of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vitric.golden.spec.command import ErrorCode

from .answers import Result, RunStatus, read_record
from .host import Device, DeviceError, LinkFailure
from .link import Kind, LinkError
from .slots import Slots, record_words

__all__ = ["ImageQueue", "Run"]


@dataclass(frozen=True)
class Run:
    """A run that has ended.

    Attributes
    ----------
    results : tuple of Result
        One for each image.
    cycles : int
        Clock cycles from its start to its end: the images and what is between them, without the serial line.
    """

    results: tuple[Result, ...]
    cycles: int


class ImageQueue:
    """Slots for images of one size in the memory of a board.

    While a run is under way, other slots can be filled and read: an image arrives while the one before is computed.

    Parameters
    ----------
    device : Device
    image_bytes : int
        Bytes of an image: columns of the accelerator's input port, ``rows`` bytes each.
    poll : float
        Seconds from one question how a run goes to the next.

    Attributes
    ----------
    slots : Slots

    Raises
    ------
    ValueError
        The board has no image memory, or no room for an image in it; no whole columns; every method: no such slot.
    LinkFailure, DeviceError
        Every method: as those of :class:`~vitric.boards.host.Device`.
    """

    def __init__(self, device: Device, image_bytes: int, *, poll: float = 0.02):
        self.device = device
        self.poll = poll
        self._count = 0  # images of the last run
        info = self._info = device.info()
        if not info.image_words:
            raise ValueError("the board has no image memory")
        if image_bytes % info.rows:
            raise ValueError(f"an image must be columns of {info.rows} bytes, not {image_bytes} bytes")
        self.slots = Slots(columns=image_bytes // info.rows, rows=info.rows, model_bits=info.model_bits,
                           max_classes=info.max_classes, memory_words=info.image_words)

    def put(self, slot: int, image: bytes) -> None:
        """Write an image into a slot."""
        slots, word = self.slots, self._info.model_bits // 8
        if len(image) != slots.columns * slots.rows:
            raise ValueError(f"an image must have {slots.columns * slots.rows} bytes, not {len(image)}")
        self.device.write_words(slots.image(slot), image.ljust(slots.image_words * word, b"\0"))

    def start(self, first: int, count: int) -> None:
        """Start a run over ``count`` slots from ``first`` on."""
        if count:
            self.slots.image(first + count - 1)
        self._count = count
        self.device.start_run(first=self.slots.image(first), stride=self.slots.stride, columns=self.slots.columns,
                              count=count)

    def wait(self, progress: Callable[[int], object] = lambda done: None) -> RunStatus:
        """Wait for the end of a run; ``progress`` is given the number of results.

        Raises
        ------
        LinkFailure
            No image is finished within the time that a request may take: the run is given up. Or the board says what
            cannot be: fewer results than before or more than images, or the end of a run that lacks some.
        """
        clock, patience = self.device.transport.clock, self.device.timeout * self.device.attempts
        end, done = clock() + patience, 0
        while True:
            status = self.device.run_status()
            if not done <= status.done <= self._count:
                raise LinkFailure(f"a run of {self._count} images had {done} results, and now has {status.done}")
            if status.done > done:
                end, done = clock() + patience, status.done
                progress(done)
            if not status.running:
                break
            if clock() > end:
                self.device.abort()
                raise LinkFailure(f"no result of image {done} of the run in {patience:g} seconds")
            self.device.pause(self.poll)
        if status.reason is None and done < self._count:
            raise LinkFailure(f"the run ended after {done} of {self._count} images, and the board says no reason")
        return status

    def result(self, slot: int) -> Result:
        """Read the result of a slot; :exc:`DeviceError` if the accelerator refused the image."""
        info = self._info
        words = record_words(info.max_classes, model_bits=info.model_bits)
        return read_record(self.device.read_words(self.slots.record(slot), words), max_classes=info.max_classes,
                           max_cycles=0xFFFF_FFFF)

    def infer(self, images: Sequence[bytes], progress: Callable[[int], object] = lambda done: None) -> Run:
        """Write images into the slots from 0 on, run them one after the other, and read their results."""
        for slot, image in enumerate(images):
            self.put(slot, image)
        self.start(0, len(images))
        status = self.wait(progress)
        if status.reason == LinkError.ACCELERATOR:
            self.result(status.done - 1)  # says more
        if status.reason is not None:
            raise DeviceError(status.reason, Kind.RUN, ErrorCode.OK, 0)
        return Run(tuple(map(self.result, range(len(images)))), status.cycles)
