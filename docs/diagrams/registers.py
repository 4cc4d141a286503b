"""Source of ``registers.svg``: ``python -m docs.diagrams.registers`` writes it again."""

from vitric.integration.registers import REGISTERS

from docs.diagrams.draw import LOGIC, MEMORY, SHARED, Diagram

__all__ = ["diagram"]

LEFT, BIT, HEIGHT = 190, 30, 46
FILLS = {"ro": LOGIC, "rw": MEMORY, "w1": SHARED, "w1c": SHARED}


def diagram() -> Diagram:
    """Return the picture of the registers of ``integration/registers.py``: which bits of which word are what."""
    d = Diagram(LEFT + 32 * BIT + 20, 84 + HEIGHT * len(REGISTERS), "Registers: addresses, and fields by bits")

    def left(bit):
        return LEFT + (31 - bit) * BIT

    for bit in (31, 24, 23, 16, 15, 8, 7, 0):
        d.label(left(bit) + BIT // 2, 24, str(bit), anchor="middle")
    for number, register in enumerate(REGISTERS):
        y = 34 + number * HEIGHT
        d.label(16, y + 24, f"0x{register.address:02X}")
        d.label(70, y + 24, register.name)
        for field in register.fields:
            top, wide = field.low + field.bits - 1, field.bits > 3
            d.box(left(top), y, field.bits * BIT, HEIGHT - 10, field.name if wide else "", fill=FILLS[field.access])
            if not wide:
                d.label(left(top) + BIT // 2, y + 22, field.name[:5], anchor="middle")
    y = 34 + HEIGHT * len(REGISTERS) + 12
    legend = (LOGIC, "read only"), (MEMORY, "read and write"), (SHARED, "writing 1 acts")
    for place, (fill, text) in enumerate(legend):
        d.box(LEFT + 220 * place, y, 200, 28, text, fill=fill)
    return d


if __name__ == "__main__":
    diagram().write(__file__)
