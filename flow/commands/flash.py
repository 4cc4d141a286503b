"""`vitric flash`: write a model into a board's flash."""

import time
from typing import TYPE_CHECKING, Annotated

import typer
from vitric.golden.errors import UserError
from vitric.golden.files import write_bytes
from vitric.toolchain.loader import run_loader

from ..inputs.options import Baud, BoardName, ProjectName
from ..project.streams import StreamFile, model_stream
from ..reports.console import console

if TYPE_CHECKING:
    from vitric.compiler.stream import ModelStream

__all__ = ["flash_command"]


def flash_command(
    model: StreamFile = None,
    project: ProjectName = None,
    board: BoardName = None,
    port: Annotated[
        str | None, typer.Option(help="Serial port of the board, which is asked which model it has taken from its "
                                 "flash; the new one is written to the other slot.")] = None,
    slot: Annotated[
        int | None, typer.Option(min=0, max=255, help="Slot to write to, for a board that does not run vitric yet; "
                                 "what lies there is lost.")] = None,
    baud: Baud = 1_000_000,
) -> None:
    """Write a model stream, or a project's model, into a board's flash: it is in use from power-on.

    The bitstream must be one for models in SDRAM (`vitric bitstream --model-memory sdram`). There are two slots, and
    the board takes the newer of the models that are whole: if the power goes while one is written, the one before is
    still found. The flash is written over USB with openFPGALoader.
    """
    from vitric.boards.flash_image import flash_image

    from ..project.project import open_project

    name, stream = model_stream(model, project)
    work = open_project(project).changed({"board": {"name": board}})
    target = work.board
    if (flash := target.flash_spec(1_000_000)) is None:
        raise UserError(f"models are not looked for in the flash of {target.title}")
    written = int(time.time())
    if port is not None:
        free, newer = _ask(port, baud, stream, name, len(flash.slots))
        slot, written = free if slot is None else slot, max(written, newer)
    if slot is None:
        raise UserError("say where the model is to lie: --port asks the board which slot is free, --slot chooses")
    if slot >= len(flash.slots):
        raise UserError(f"--slot must be between 0 and {len(flash.slots) - 1} for {target.title}, not {slot}")
    image = flash_image(stream.data, model_bits=stream.spec.model_bits, spec_hash=stream.spec.hash, written=written)
    if len(image) > flash.slot_bytes:
        raise UserError(f"{name} takes {len(image)} bytes with its header, but a slot of the flash has "
                        f"{flash.slot_bytes}")
    file = work.build / target.name / "flash.bin"
    write_bytes(file, image)
    if status := run_loader(target.loader, ["-f", "--file-type", "raw", "-o", str(flash.slots[slot]), file]):
        raise UserError(f"openFPGALoader ended with status {status}; is the board connected, and may you use it? The "
                        "model in the other slot is still there")
    console().print(f"{name}: {len(stream)} words in slot {slot}; the board takes them when it is switched on, or "
                    "given its bitstream, the next time", markup=False)


def _ask(port: str, baud: int, stream: "ModelStream", name: str, slots: int) -> tuple[int, int]:
    """Return the slot that a board has no sound model in, and a time that is newer than that of the one it has."""
    from vitric.boards.flash_image import FlashState

    from ..inputs.device import matching_info, open_device

    with open_device(port, baud) as device:
        info = matching_info(device, stream.spec, name)
    if info.flash_state == FlashState.NONE:
        raise UserError(f"the board at {port} takes no model from its flash: its bitstream must be one for models in "
                        "SDRAM, and its SDRAM in order")
    free = (info.flash_slot + 1) % slots if info.flash_state == FlashState.LOADED else 0
    return free, info.flash_written + 1
