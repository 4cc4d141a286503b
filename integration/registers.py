"""The registers of the accelerator in other people's designs, as data: hardware, C header, pages and tests read it."""

from dataclasses import dataclass, field

from vitric.golden.spec.check import check_choice, check_int

__all__ = ["ACCESS", "ADDRESS_BITS", "ID", "MAP_VERSION", "REGISTERS", "Field", "Register", "register"]

ACCESS = {
    "ro": "read only",
    "rw": "read and write",
    "w1": "writing 1 does it once; reads as 0",
    "w1c": "set by the hardware; writing 1 clears it",
}
"""What may be done with a field, and what it means."""

ADDRESS_BITS = 12
"""Width of a byte address: the registers lie in 4 KiB of their own, as AXI interconnects give at least."""

ID = int.from_bytes(b"VITR", "big")
"""What the register ``id`` holds."""

MAP_VERSION = 1
"""Of this map: it grows when a register or field is moved or changes its meaning, not when one is added."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """Bits of a register.

    Parameters
    ----------
    name : str
    low, bits : int
        Place of the lowest bit, and width: 1 to 32 in all.
    access : str
        A key of :data:`ACCESS`.
    reset : int
        Value after reset of ``rw``; of all others 0 until the hardware says otherwise.
    summary : str
    """

    name: str
    low: int
    bits: int
    access: str
    reset: int = 0
    summary: str

    def __post_init__(self):
        check_int("low", self.low, 0, 31)
        check_int("bits", self.bits, 1, 32 - self.low)
        check_choice("access", self.access, tuple(ACCESS))
        check_int("reset", self.reset, 0, (1 << self.bits) - 1)

    @property
    def mask(self) -> int:
        """Its bits in the word."""
        return (1 << self.bits) - 1 << self.low


@dataclass(frozen=True, kw_only=True)
class Register:
    """A 32-bit word at a byte address.

    Parameters
    ----------
    name : str
    address : int
        A multiple of 4.
    fields : tuple of Field
        From the lowest bit, without overlap; other bits read as 0.
    summary : str
    """

    name: str
    address: int
    summary: str
    fields: tuple[Field, ...] = field(default=())

    def __post_init__(self):
        check_int("address", self.address, 0, (1 << ADDRESS_BITS) - 4)
        ends = [0, *(one.low + one.bits for one in self.fields)]
        if self.address % 4 or any(one.low < end for one, end in zip(self.fields, ends, strict=False)):
            raise ValueError(f"register {self.name} must have an address that is a multiple of 4 and fields that do "
                             "not overlap, from the lowest bit")

    @property
    def writable(self) -> bool:
        """Whether writing it does anything."""
        return any(one.access != "ro" for one in self.fields)


def _word(name: str, address: int, summary: str) -> Register:
    return Register(name=name, address=address, summary=summary,
                    fields=(Field(name=name, low=0, bits=32, access="ro", summary=summary),))


REGISTERS = (
    _word("id", 0x00, "0x56495452, the letters VITR: this is a vitric accelerator"),
    _word("map_version", 0x04, "version of this map"),
    _word("spec_hash", 0x08, "hash of the accelerator's parameters, as in the header of a model stream for it"),
    Register(name="ports", address=0x0C, summary="widths of the stream ports", fields=(
        Field(name="model_bytes", low=0, bits=8, access="ro", summary="bytes of a beat of the model"),
        Field(name="image_bytes", low=8, bits=8, access="ro", summary="bytes of a beat of the image: one pixel a row"),
        Field(name="logit_bits", low=16, bits=8, access="ro", summary="bits of a logit, signed"),
    )),
    Register(name="control", address=0x10, summary="what is to happen", fields=(
        Field(name="start", low=0, bits=1, access="w1", summary="let one inference begin"),
        Field(name="auto", low=1, bits=1, access="rw", reset=1,
              summary="let one inference begin after the other, without start"),
        Field(name="irq_enable", low=2, bits=1, access="rw", summary="interrupt while state.done is 1"),
        Field(name="abort", low=3, bits=1, access="w1",
              summary="end the inference that has begun, with the error ABORTED"),
        Field(name="restart", low=4, bits=1, access="w1",
              summary="forget everything that has begun, without a status; packets have to be sent from their start"),
    )),
    Register(name="state", address=0x14, summary="what is the case", fields=(
        Field(name="busy", low=0, bits=1, access="ro", summary="a model has begun, and its status is not yet out"),
        Field(name="armed", low=1, bits=1, access="ro", summary="an inference may begin, or has begun"),
        Field(name="done", low=2, bits=1, access="w1c", summary="an inference has ended"),
    )),
    Register(name="result", address=0x18, summary="how the last inference ended", fields=(
        Field(name="error", low=0, bits=8, access="ro", summary="0, or the number of an error"),
        Field(name="command", low=16, bits=16, access="ro", summary="command of the model being read then"),
    )),
    _word("cycles", 0x1C, "clock cycles of the last inference, from the first word of its model to its status"),
    _word("inferences", 0x20, "inferences that have ended since reset, modulo 2**32"),
    Register(name="class", address=0x24, summary="what the last inference without error saw", fields=(
        Field(name="label", low=0, bits=16, access="ro", summary="index of the largest logit, the first of equal ones"),
        Field(name="count", low=16, bits=16, access="ro", summary="number of logits"),
    )),
    _word("model_crc", 0x28, "CRC-32C of all bytes of the last whole model stream"),
)
"""By address."""


def register(name: str) -> Register:
    """Return a register by its name; :exc:`ValueError` lists the names if there is none."""
    check_choice("register", name, tuple(one.name for one in REGISTERS))
    return next(one for one in REGISTERS if one.name == name)
