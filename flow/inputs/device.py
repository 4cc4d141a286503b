"""What the commands that talk to a board share: opening it, and errors that the user can put right."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vitric.golden.errors import UserError

if TYPE_CHECKING:
    from vitric.boards.host import Device

__all__ = ["open_device"]


@contextmanager
def open_device(port: str, baud: int) -> Iterator["Device"]:
    """Open the board at a serial port for the block.

    Raises
    ------
    UserError
        The port cannot be opened, the board does not answer, or it refuses a request.
    """
    from vitric.boards.host import Device, DeviceError, LinkFailure, SerialTransport

    try:
        transport = SerialTransport(port, baud)
        try:
            yield Device(transport)
        finally:
            transport.close()
    except (LinkFailure, DeviceError) as error:
        raise UserError(f"{port}: {error}") from error
