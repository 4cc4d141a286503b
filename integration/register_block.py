"""Registers in hardware, of any map, behind the simplest of buses."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .registers import ADDRESS_BITS, Register

__all__ = ["RegisterBlock"]


class RegisterBlock(wiring.Component):
    """The words of a register map.

    A write takes effect in the next cycle: fields ``rw`` then have their new value, ``w1`` are 1 for that one cycle.
    A read is answered in the same cycle. A field ``w1c`` that is set and cleared at once is set.

    Parameters
    ----------
    registers : sequence of Register

    Members
    -------
    write : 1, in
        Write ``write_data`` to ``write_address`` now.
    write_address, read_address : 12, in
        Byte addresses; the lowest two bits do not count.
    write_data : 32, in
    write_strobe : 4, in
        Which bytes of it.
    read_data : 32, out
        The word at ``read_address``; 0 where there is none.
    write_known, read_known : 1, out
        Whether there is a register that can be written, or one to read, at the address.
    REGISTER_FIELD : in for ``ro`` and ``w1c`` (there: set it now), out for ``rw`` and ``w1``
        One for each field, of its width.
    REGISTER_FIELD_now : out
        For ``w1c``: what it is.
    """

    def __init__(self, registers: Sequence[Register]):
        self.registers = tuple(registers)
        members = {
            "write": In(1), "write_address": In(ADDRESS_BITS), "write_data": In(32), "write_strobe": In(4),
            "write_known": Out(1), "read_address": In(ADDRESS_BITS), "read_data": Out(32), "read_known": Out(1),
        }
        for register in self.registers:
            for field in register.fields:
                name = f"{register.name}_{field.name}"
                if field.access in ("ro", "w1c"):
                    members[name] = In(field.bits)
                else:
                    members[name] = Out(field.bits, init=field.reset)
                if field.access == "w1c":
                    members[f"{name}_now"] = Out(field.bits)
        super().__init__(members)

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        strobe = Cat(bit.replicate(8) for bit in self.write_strobe)  # [32], one for each bit of the word
        with m.Switch(self.read_address[2:]):
            for register in self.registers:
                with m.Case(register.address >> 2):
                    m.d.comb += [self.read_data.eq(self._word(register)), self.read_known.eq(1)]
        with m.Switch(self.write_address[2:]):
            for register in self.registers:
                if register.writable:
                    with m.Case(register.address >> 2):
                        m.d.comb += self.write_known.eq(1)
        for register in self.registers:
            here = Signal(name=f"write_{register.name}")
            m.d.comb += here.eq(self.write & (self.write_address[2:] == register.address >> 2))
            for field in register.fields:
                self._field(m, register, field, here, strobe)
        return m

    def _word(self, register: Register):
        """Return the word that a read of a register gives."""
        parts, end = [], 0
        for field in register.fields:
            port = getattr(self, f"{register.name}_{field.name}")
            if field.access == "w1c":
                port = getattr(self, f"{register.name}_{field.name}_now")
            parts += [Const(0, field.low - end), Const(0, field.bits) if field.access == "w1" else port]
            end = field.low + field.bits
        return Cat(*parts)

    def _field(self, m: Module, register: Register, field, here, strobe) -> None:
        """Add what a write of a register does to one of its fields."""
        port = getattr(self, f"{register.name}_{field.name}")
        part = slice(field.low, field.low + field.bits)
        chosen = strobe[part] & here.replicate(field.bits)
        if field.access == "rw":
            m.d.sync += port.eq(port & ~chosen | self.write_data[part] & chosen)
        elif field.access == "w1":
            m.d.sync += port.eq(self.write_data[part] & chosen)
        elif field.access == "w1c":
            now = getattr(self, f"{register.name}_{field.name}_now")
            m.d.sync += now.eq(now & ~(self.write_data[part] & chosen) | port)
