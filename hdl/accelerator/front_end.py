"""The only reader of the model stream: commands to the engines, operands to where they are read."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import FIELD_BITS, LIMIT_MAX, TABLE_ENTRY_BITS

from ..streams import connect
from .command_reader import CommandReader
from .layouts import PRODUCT_COMMAND, ROW_COMMAND, channel_group, model_word, weight_word
from .operand_router import OperandRouter
from .ports import activation_read, affine_write, join, residual_write

__all__ = ["FrontEnd"]


class FrontEnd(wiring.Component):
    """:class:`CommandReader`, which checks, and :class:`OperandRouter`, which distributes.

    It runs ahead of the engines: a command is dispatched to them as soon as it is read, and its operands go into
    the rings as far as those have room. It stops at END until every command has written its results; with
    ``spec.command_queue`` 0 behind each command, so that the fields that were dispatched hold for as long as it takes.

    *Handshake*: rules 1 to 4 on the streams. ``error_valid`` is 1, from then on, with the code of the first error
    found; the component then waits to be reset.

    Members
    -------
    i : stream of model_word(spec), in
    done : unsigned(16), in
        Commands whose results are all written.
    o_product, o_row, weights, channels, table, residual, affine, want, read
        See :class:`~vitric.hdl.accelerator.operand_router.OperandRouter`.
    limit : 5, out
        Binary logarithm of the cycles that the stream may take; before its header is checked, the largest.
    finished : 1, out
        END is checked and every command is complete; held until the component is reset.
    error_valid, error : out
    index : unsigned(16), out
        Command being read, for the status.
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        super().__init__({
            "i": In(stream.Signature(model_word(spec))),
            "done": In(FIELD_BITS),
            "o_product": Out(stream.Signature(PRODUCT_COMMAND)), "o_row": Out(stream.Signature(ROW_COMMAND)),
            "weights": Out(stream.Signature(weight_word(spec))),
            "channels": Out(stream.Signature(channel_group(spec))),
            "table": Out(stream.Signature(TABLE_ENTRY_BITS)),
            "residual": Out(residual_write(spec)), "affine": Out(affine_write(spec)),
            "want": Out(1), "read": Out(activation_read(spec)),
            "limit": Out(range(LIMIT_MAX + 1)), "finished": Out(1),
            "error_valid": Out(1), "error": Out(8), "index": Out(FIELD_BITS),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        m.submodules.reader = reader = CommandReader(self.spec)
        m.submodules.router = router = OperandRouter(self.spec)
        connect(m, wiring.flipped(self.i), reader.i)
        connect(m, reader.operands, router.i)
        for name in ("o_product", "o_row", "weights", "channels", "table"):
            connect(m, getattr(router, name), wiring.flipped(getattr(self, name)))
        for name in ("residual", "affine", "read"):
            join(m, getattr(router, name), wiring.flipped(getattr(self, name)))
        m.d.comb += [
            router.command.eq(reader.command), router.start.eq(reader.start), reader.complete.eq(router.complete),
            self.want.eq(router.want), self.limit.eq(reader.limit),
            reader.done.eq(self.done), router.done.eq(self.done),
            self.finished.eq(reader.finished), self.index.eq(reader.index),
            self.error_valid.eq(reader.error_valid), self.error.eq(reader.error),
        ]
        return m
