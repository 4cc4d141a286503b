"""Source of ``accelerator.svg``: ``python -m docs.diagrams.accelerator`` writes it again."""

from docs.diagrams.draw import Diagram

__all__ = ["diagram"]

ENGINE, UNIT, MEMORY, BUFFER = "#fbeedd", "#e8f0fb", "#e6f4e6", "#ffffff"


def diagram() -> Diagram:
    """Return the block diagram of ``hdl/accelerator``."""
    d = Diagram(1240, 680, "Engines, units and memories of the accelerator, and the streams between them")
    d.frame(110, 16, 1010, 648, "Core: held in reset while an error is flushed and while the status waits")

    # Row 1: the stream, the commands.
    d.arrow((20, 95), (140, 95))
    d.label(20, 86, "model")
    d.box(140, 52, 190, 250, "FrontEnd", ("header, CRC, checks", "Assembler: operand words", "ActLoader: keys, values",
                                          "waits: w_wait, LOAD's", "a_wait, last table user"), fill=ENGINE)
    d.box(400, 60, 150, 52, "product queue", ("8 commands",), fill=BUFFER)
    d.box(400, 132, 150, 52, "weight ring", ("array words",), fill=BUFFER)
    d.box(400, 204, 150, 52, "channel ring", ("bias, multiplier, shift",), fill=BUFFER)
    for y in (86, 158, 230):
        d.arrow((330, y), (400, y))

    # Row 2: the products.
    d.box(400, 330, 150, 84, "Feeder", ("loops of a product,", "waits for row groups"), fill=ENGINE)
    d.box(610, 330, 130, 84, "MacArray", ("rows x cols", "dot products"), fill=UNIT)
    d.box(800, 330, 130, 84, "Drain", ("drain_cols columns", "with constants"), fill=ENGINE)
    d.box(980, 330, 120, 84, "Requantize", ("one lane per row", "and column"), fill=UNIT)
    d.box(980, 196, 120, 46, "Gelu", ("table",), fill=UNIT)
    d.box(980, 262, 120, 46, "Softmax", (), fill=UNIT)
    d.arrow((550, 372), (610, 372))
    d.label(580, 364, "beats", anchor="middle")
    d.arrow((740, 372), (800, 372))
    d.label(770, 364, "tiles", anchor="middle")
    d.arrow((930, 372), (980, 372))
    d.arrow((1040, 330), (1040, 308))
    d.arrow((1100, 350), (1112, 350), (1112, 219), (1100, 219))
    d.arrow((550, 86), (590, 86), (590, 310), (520, 310), (520, 330), dashed=True)
    d.label(598, 116, "products, in order")
    d.arrow((550, 158), (570, 158), (570, 296), (475, 296), (475, 330))
    d.arrow((550, 230), (860, 230), (860, 330))

    # Row 3: memories and what is written.
    d.box(140, 490, 190, 84, "activation memory", ("one word: rows x depth", "written by the tile"), fill=MEMORY)
    d.box(400, 490, 150, 84, "residual memory", ("drain_cols columns", "of rows x 16"), fill=MEMORY)
    d.box(600, 490, 110, 84, "LayerNorm", ("one lane per row,", "affine constants"), fill=UNIT)
    d.box(750, 490, 150, 84, "RowEngine", ("INPUT, NORM,", "softmax codes"), fill=ENGINE)
    d.box(940, 490, 160, 84, "Writeback", ("TileWriter,", "ResidualAdder"), fill=ENGINE)
    d.arrow((200, 490), (200, 302))
    d.label(206, 400, "keys, values")
    d.arrow((300, 490), (300, 372), (400, 372))
    d.label(308, 364, "operand A")
    d.arrow((550, 532), (600, 532))
    d.arrow((710, 532), (750, 532))
    d.arrow((330, 268), (372, 268), (372, 520), (400, 520))
    d.label(366, 512, "LOAD", anchor="end")
    d.arrow((980, 285), (955, 285), (955, 440), (850, 440), (850, 490))
    d.label(848, 456, "softmax codes", anchor="end")
    d.arrow((1040, 414), (1040, 490))
    d.label(1046, 448, "direct, or")
    d.label(1046, 464, "from Gelu")
    d.arrow((980, 574), (980, 596), (475, 596), (475, 574))
    d.label(690, 590, "sums")
    d.arrow((1010, 574), (1010, 616), (235, 616), (235, 574))
    d.arrow((825, 574), (825, 616))
    d.label(560, 612, "tiles of codes")
    d.arrow((1060, 574), (1060, 634), (125, 634), (125, 280), (140, 280), dashed=True)
    d.label(560, 650, "progress of both: row groups written, commands complete", anchor="middle")
    d.arrow((150, 302), (150, 450), (780, 450), (780, 490), dashed=True)
    d.label(300, 444, "commands that make rows")

    # Ports.
    d.arrow((1220, 476), (890, 476), (890, 490))
    d.label(1220, 468, "i (image)", anchor="end")
    d.arrow((1100, 548), (1220, 548))
    d.label(1220, 540, "logits", anchor="end")
    d.label(1220, 566, "held back until", anchor="end")
    d.label(1220, 582, "END is checked", anchor="end")
    return d


if __name__ == "__main__":
    diagram().write(__file__)
