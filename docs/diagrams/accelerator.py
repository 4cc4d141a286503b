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
                                          "waits: w_wait, LOAD's", "a_wait, last GELU user"), fill=ENGINE)
    d.box(400, 60, 150, 52, "command queue", ("16 commands",), fill=BUFFER)
    d.box(400, 132, 150, 52, "weight ring", ("array words",), fill=BUFFER)
    d.box(400, 204, 150, 52, "channel ring", ("bias, multiplier, shift",), fill=BUFFER)
    for y in (86, 158, 230):
        d.arrow((330, y), (400, y))

    # Row 2: the pipeline.
    d.box(400, 330, 150, 84, "Feeder", ("loops of a product,", "waits: a_wait"), fill=ENGINE)
    d.box(610, 330, 130, 84, "MacArray", ("rows x cols", "dot products"), fill=UNIT)
    d.box(800, 330, 130, 84, "Drain", ("tiles to columns", "with constants"), fill=ENGINE)
    d.box(980, 330, 120, 84, "Requantize", ("one lane", "per row"), fill=UNIT)
    d.box(980, 196, 120, 46, "Gelu", ("table",), fill=UNIT)
    d.box(980, 262, 120, 46, "Softmax", (), fill=UNIT)
    d.arrow((550, 372), (610, 372))
    d.label(580, 364, "beats", anchor="middle")
    d.arrow((740, 372), (800, 372))
    d.label(770, 364, "tiles", anchor="middle")
    d.arrow((930, 372), (980, 372))
    d.arrow((1040, 330), (1040, 308))
    d.arrow((1100, 350), (1112, 350), (1112, 219), (1100, 219))

    # Commands travel beside the data, from engine to engine.
    d.arrow((550, 86), (590, 86), (590, 310), (520, 310), (520, 330), dashed=True)
    d.label(598, 116, "commands, in order")
    d.arrow((530, 414), (530, 432), (865, 432), (865, 414), dashed=True)
    d.arrow((900, 414), (900, 460), (960, 460), (960, 490), dashed=True)
    d.arrow((550, 158), (570, 158), (570, 296), (475, 296), (475, 330))
    d.arrow((550, 230), (860, 230), (860, 330))

    # Row 3: memories and writeback.
    d.box(140, 490, 190, 84, "activation memory", ("one word: rows x depth", "written by the tile"), fill=MEMORY)
    d.box(400, 490, 150, 84, "residual memory", ("one column: rows x 16",), fill=MEMORY)
    d.box(610, 490, 130, 84, "LayerNorm", ("one lane per row",), fill=UNIT)
    d.box(850, 490, 250, 84, "Writeback", ("TileWriter, ResidualAdder, Position", "counts done"), fill=ENGINE)
    d.arrow((200, 490), (200, 302))
    d.label(206, 400, "keys, values")
    d.arrow((300, 490), (300, 372), (400, 372))
    d.label(308, 364, "operand A")
    d.arrow((475, 490), (475, 414))
    d.arrow((430, 414), (430, 450), (675, 450), (675, 490))
    d.label(560, 468, "rows of NORM", anchor="middle")
    d.arrow((330, 268), (372, 268), (372, 532), (400, 532))
    d.label(366, 524, "LOAD", anchor="end")
    d.arrow((820, 414), (820, 474), (700, 474), (700, 490))
    d.label(742, 466, "affine")
    d.arrow((740, 532), (850, 532))
    d.label(795, 524, "codes", anchor="middle")
    d.arrow((1060, 414), (1060, 490))
    d.label(1054, 448, "direct, from Gelu,", anchor="end")
    d.label(1054, 464, "from Softmax", anchor="end")
    d.arrow((900, 574), (900, 596), (475, 596), (475, 574))
    d.arrow((930, 574), (930, 616), (235, 616), (235, 574))
    d.label(690, 590, "sums")
    d.label(690, 612, "tiles of codes")
    d.arrow((850, 556), (830, 556), (830, 630), (125, 630), (125, 280), (140, 280), dashed=True)
    d.label(560, 646, "done: commands whose results are all written", anchor="middle")

    # Ports.
    d.arrow((1220, 510), (1100, 510))
    d.label(1220, 502, "i (image)", anchor="end")
    d.arrow((1100, 548), (1220, 548))
    d.label(1220, 540, "logits", anchor="end")
    d.label(1220, 566, "held back until", anchor="end")
    d.label(1220, 582, "END is checked", anchor="end")
    return d


if __name__ == "__main__":
    diagram().write(__file__)
