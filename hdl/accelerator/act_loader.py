"""Loads weights that stand in activation memory: keys and transposed values."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import FIELD_BITS, Flag, Opcode
from vitric.golden.spec.limits import field_bits

from .layouts import CHANNEL, COMMAND, flag, weight_word
from .ports import activation_read

__all__ = ["ActLoader"]


class ActLoader(wiring.Component):
    """Copies one weight set per request from activation memory to the weight ring, with the keys' biases.

    For each tile, weight plane and step of the set it reads one activation word and appends its elements' low
    ``w_bits`` to the weight ring. With the ``key_bias`` flag it also sums the elements of each channel (a key), and
    after each tile appends ``cols`` channel words with ``bias = -key_zero * sum >> pre`` to the channel ring: the term
    that the zero point of the activation operand adds to every score of that key, shifted as ``key_shift`` has the
    requantize unit shift the accumulator.

    *Handshake*: ``start`` for one cycle with ``command`` and ``set_base`` held until ``done``. A read follows in the
    second cycle after ``want``, and needs no leave.

    *Interval*: without biases one word per 5 cycles and 2 cycles per tile; with biases one word per
    ``depth / spec.key_terms + 5`` cycles and ``3 * cols + 2`` cycles per tile. A full ring adds to these.

    Members
    -------
    command : COMMAND, in
    set_base : unsigned(16), in
        Activation word address of the set.
    start, done : 1
    want : 1, out
    read : read port of activation memory
    weights : stream of weight_word(spec), out
    channels : stream of CHANNEL, out
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        super().__init__({
            "command": In(COMMAND), "set_base": In(FIELD_BITS), "start": In(1), "done": Out(1), "want": Out(1),
            "read": Out(activation_read(spec)),
            "weights": Out(stream.Signature(weight_word(spec))), "channels": Out(stream.Signature(CHANNEL)),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec, command = self.spec, self.command
        key_bias = flag(command, Flag.KEY_BIAS)

        # Where in the set: tiles remaining, address of the tile, of the plane, of the word.
        tiles = Signal(field_bits(spec, "set_tiles", Opcode.MATMUL))
        tile_base, plane_base, address = (Signal(FIELD_BITS, name=n) for n in ("tile_base", "plane_base", "address"))
        steps, words = (Signal(field_bits(spec, name, Opcode.MATMUL), name=name)
                        for name in ("k_words", "tile_words"))  # left in the plane, in the tile
        plane, fetched = Signal(1), Signal(2)

        word = Signal(weight_word(spec), reset_less=True)
        sum_bits = spec.w_bits + ceil_log2(spec.weight_words * spec.depth) + spec.w_bits
        sums = [Signal(signed(sum_bits), name=f"sum{c}", reset_less=True) for c in range(spec.cols)]
        terms = spec.key_terms
        parts = spec.depth // terms
        part, channel = Signal(range(parts)), Signal(range(spec.cols))
        product, bias = Signal(signed(sum_bits + 8), reset_less=True), Signal(signed(32), reset_less=True)
        # Of each channel the next ``terms`` elements of the word, added up in the cycle before they are needed: the
        # word moves on when it has been written, and with each part.
        digits = [Signal(range(-terms << spec.w_bits - 1, terms << spec.w_bits - 1), name=f"digits{c}",
                         reset_less=True) for c in range(spec.cols)]
        for c in range(spec.cols):
            m.d.sync += digits[c].eq(sum(word[c][d] for d in range(terms)))

        def move_on():
            for c in range(spec.cols):
                m.d.sync += word[c].eq(word[c].as_value() >> terms * spec.w_bits)

        m.d.comb += [
            self.read.address.eq(address), self.read.en.eq(fetched[0]), self.weights.payload.eq(word),
            self.channels.p.bias.eq(bias), self.channels.p.multiplier.eq(command.key_multiplier),
            self.channels.p.shift.eq(command.key_shift[:8]),
        ]
        m.d.sync += fetched.eq(Cat(0, fetched))
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [tiles.eq(command.set_tiles), tile_base.eq(self.set_base)]
                with m.If(self.start):
                    m.next = "TILE"
            with m.State("TILE"):
                m.d.sync += [
                    plane_base.eq(tile_base), address.eq(tile_base), plane.eq(0),
                    steps.eq(command.k_words), words.eq(command.tile_words), tiles.eq(tiles - 1),
                    tile_base.eq(tile_base + command.w_tile_stride),
                ]
                m.d.sync += [total.eq(0) for total in sums]
                m.next = "WANT"
            with m.State("WANT"):
                m.d.comb += self.want.eq(1)
                m.next = "ISSUE"
            with m.State("ISSUE"):
                m.d.sync += fetched[0].eq(1)
                m.next = "CAPTURE"
            with m.State("CAPTURE"):
                with m.If(fetched[1]):
                    for c in range(spec.cols):
                        for d in range(spec.depth):
                            m.d.sync += word[c][d].eq(self.read.data[c][d][:spec.w_bits].as_signed())
                    m.next = "WRITE"
            with m.State("WRITE"):
                m.d.comb += self.weights.valid.eq(1)
                with m.If(self.weights.ready):
                    move_on()
                    m.d.sync += [address.eq(address + 1), steps.eq(steps - 1), words.eq(words - 1)]
                    with m.If(steps == 1):  # next plane
                        m.d.sync += [
                            plane_base.eq(plane_base + command.w_plane_stride),
                            address.eq(plane_base + command.w_plane_stride),
                            steps.eq(command.k_words),
                        ]
                    with m.If(key_bias):
                        m.next = "SUM"
                    with m.Elif(words == 1):
                        m.next = "END TILE"
                    with m.Else():
                        m.next = "WANT"
            with m.State("SUM"):
                move_on()
                for total, some in zip(sums, digits, strict=True):
                    m.d.sync += total.eq(total + Mux(plane, some << spec.w_bits, some))
                m.d.sync += part.eq(part + 1)
                with m.If(part == parts - 1):
                    m.d.sync += [part.eq(0), channel.eq(0)]
                    with m.If(steps == command.k_words):  # the word just summed was the last of its plane
                        m.d.sync += plane.eq(1)
                    with m.If(words == 0):
                        m.next = "PRODUCT"
                    with m.Else():
                        m.next = "WANT"
            with m.State("PRODUCT"):
                m.d.sync += product.eq(sums[0] * command.key_zero[:8])
                m.next = "BIAS"
            with m.State("BIAS"):
                narrow = spec.requantize.narrow_shift
                m.d.sync += bias.eq(-product)
                if narrow:
                    with m.If(command.key_shift[spec.requantize.post_bits]):
                        m.d.sync += bias.eq(-product >> narrow)
                m.next = "CHANNEL"
            with m.State("CHANNEL"):
                m.d.comb += self.channels.valid.eq(1)
                with m.If(self.channels.ready):
                    m.d.sync += [left.eq(right) for left, right in zip(sums, sums[1:], strict=False)]
                    m.d.sync += channel.eq(channel + 1)
                    with m.If(channel == spec.cols - 1):
                        m.next = "END TILE"
                    with m.Else():
                        m.next = "PRODUCT"
            with m.State("END TILE"):
                with m.If(tiles == 0):
                    m.d.comb += self.done.eq(1)
                    m.next = "IDLE"
                with m.Else():
                    m.next = "TILE"
        return m
