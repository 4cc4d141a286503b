"""What the commands that talk to a board share: opening it, and errors that the user can put right."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vitric.golden.errors import UserError

if TYPE_CHECKING:
    from vitric.boards.host import Device, DeviceInfo
    from vitric.golden.spec.accelerator import AcceleratorSpec

__all__ = ["matching_info", "open_device"]

_PATIENCE = 2.0
"""Seconds that a board may compute for one request."""


@contextmanager
def open_device(port: str, baud: int) -> Iterator["Device"]:
    """Open the board at a serial port for the block.

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
            yield Device(transport, timeout=_PATIENCE + 2 * gap, gap=gap)
        finally:
            transport.close()
    except (LinkFailure, DeviceError, ValueError) as error:
        raise UserError(f"{port}: {error}") from error


def matching_info(device: "Device", spec: "AcceleratorSpec", what: str) -> "DeviceInfo":
    """Ask a board what it is, and check that it is built for ``spec``.

    Parameters
    ----------
    device : Device
    spec : AcceleratorSpec
    what : str
        Names, for the message, what is for this spec.

    Raises
    ------
    UserError
        The board has another spec.
    LinkFailure
        It does not answer, or contradicts the spec that it says it has.
    """
    info = device.info()
    if info.spec_hash != spec.hash:
        raise UserError(f"the board has the spec {info.spec_hash:#010x}, {what} is for the spec {spec.name} "
                        f"({spec.hash:#010x})")
    info.check_spec(spec)
    return info
