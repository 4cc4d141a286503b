"""Parameters of a serial flash and of the reader for it, and the model slots that lie in it."""

from dataclasses import dataclass

from .check import check_choice, check_int, check_power_of_two

__all__ = ["FlashSpec"]


@dataclass(frozen=True, kw_only=True)
class FlashSpec:
    """A serial NOR flash with addresses of 24 bits, the clock that it is read with, and where models lie in it.

    It must know the fast reads 0x0B (one lane) and, with four lanes, 0x6B (data on four lanes, the rest on one), which
    all parts on the known boards do, and be able to do both at ``clock_hz / (2 * half)``.

    Parameters
    ----------
    clock_hz : int
        Clock of the reader.
    size : int
        Bytes, a power of two, 64 KiB to 16 MiB.
    lanes : int
        1 or 4: most data lanes of a read.
    max_hz : int
        Highest clock of the flash, 1 to 50 MHz. At 12.5 MHz, the default, data have 80 ns from the clock's falling edge
        to the next one: out of the FPGA, through the chip (8 ns) and back, 15 ns each way in a large design.
    slots : tuple of int
        Addresses at which models may lie, multiples of 64 KiB, behind the bitstream; a slot ends where the next one
        begins, or the flash.

    Raises
    ------
    TypeError, ValueError
        A parameter is outside what is listed above, or there is no slot.
    """

    clock_hz: int
    size: int = 1 << 24
    lanes: int = 4
    max_hz: int = 12_500_000
    slots: tuple[int, ...] = (0x40_0000, 0xA0_0000)

    def __post_init__(self):
        check_int("clock_hz", self.clock_hz, 1_000_000, 1_000_000_000)
        check_power_of_two("size", self.size, 1 << 16, 1 << 24)
        check_choice("lanes", self.lanes, (1, 4))
        check_int("max_hz", self.max_hz, 1_000_000, 50_000_000)
        if not self.slots or list(self.slots) != sorted(set(self.slots)):
            raise ValueError(f"slots must be one or more rising addresses, not {self.slots!r}")
        for slot in self.slots:
            check_int("address of a slot", slot, 0, self.size - 1)
            if slot % (1 << 16):
                raise ValueError(f"the address of a slot must be a multiple of {1 << 16}, not {slot!r}")

    @property
    def half(self) -> int:
        """Cycles of half a period of the flash's clock."""
        return -(-self.clock_hz // (2 * self.max_hz))

    @property
    def slot_bytes(self) -> int:
        """Bytes of the smallest slot."""
        ends = (*self.slots[1:], self.size)
        return min(end - slot for slot, end in zip(self.slots, ends, strict=True))

    @property
    def wake_cycles(self) -> int:
        """Cycles from the command that ends power-down to the first read: 50 µs; data sheets ask for 3 to 30."""
        return -(-self.clock_hz * 50 // 1_000_000)
