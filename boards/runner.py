"""A run: the images of many slots of a memory, one after the other, and a record of each behind it."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import ErrorCode
from vitric.golden.spec.sdram import SdramSpec
from vitric.hdl.memory.block import BlockSpec
from vitric.hdl.memory.layouts import write_layout
from vitric.hdl.stream_width import Widen

from .image_reader import image_layout
from .inference import OUTCOME
from .link import READ_LAYOUT, RECORD_LAYOUT, RUN_LAYOUT, STATUS_LAYOUT, LinkError, layout_bytes
from .slots import image_words, record_words

__all__ = ["READ", "RUN", "RUN_STATUS", "Runner"]

READ = data.StructLayout({name: 8 * size for name, size in READ_LAYOUT})
"""The request READ."""

RUN = data.StructLayout({name: 8 * size for name, size in RUN_LAYOUT})
"""The request RUN."""

RUN_STATUS = data.StructLayout({name: 8 * size for name, size in STATUS_LAYOUT})
"""The answer to STATUS."""

_HALF = 16  # bits of a logit, and of a part of a record


class Runner(wiring.Component):
    """Infer the images of ``count`` slots; write the result of each behind its image.

    The slots are ``stride`` lines apart, the first at ``first`` of the image memory: the upper half of the memory.
    An image has ``columns`` columns; from the next line on comes its record, :data:`~vitric.boards.link.RECORD_LAYOUT`
    and the logits as signed 16-bit numbers, filled up to a whole line with zeros.

    ``reason`` of the status says why a run ended early: ``BAD_SLOT`` before a slot that reaches beyond the memory, or
    whose image and longest record do not fit into it; ``ACCELERATOR`` behind the image that the accelerator refused,
    whose record says why.

    *Handshake*: rules 1 to 4 of :mod:`vitric.hdl.streams`; ``run.ready`` is 1 when no run is under way. ``logits`` and
    ``outcome`` are taken during a run only.

    *Latency*: 4 cycles from ``run`` to the first ``start``. *Interval*: beside the inference 6 cycles, and one for each
    half of a record's words and each logit.

    Parameters
    ----------
    spec : AcceleratorSpec
    memory : BlockSpec or SdramSpec
        As many lines as a power of two, each as wide as a model word.

    Members
    -------
    run : stream of RUN, in
    status : RUN_STATUS, out
        Of the last run, or of the one that is under way.
    store_idle : 1, in
        The model store is idle.
    start : 1, out
        Start the model store and the inference.
    image : stream of image_layout(memory), out
    outcome : stream of OUTCOME, in
    logits : stream of signed(residual_bits), in
    put : stream of write_layout(memory), out
        Lines of records.
    """

    def __init__(self, spec: AcceleratorSpec, memory: BlockSpec | SdramSpec):
        if memory.lines & memory.lines - 1:
            raise ValueError(f"the memory must have a power of two of lines, not {memory.lines}")
        self.spec = spec
        self.memory = memory
        super().__init__({
            "run": In(stream.Signature(RUN)), "status": Out(RUN_STATUS), "store_idle": In(1), "start": Out(1),
            "image": Out(stream.Signature(image_layout(memory))), "outcome": In(stream.Signature(OUTCOME)),
            "logits": In(stream.Signature(signed(spec.residual_bits))),
            "put": Out(stream.Signature(write_layout(memory))),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec, memory, status, outcome = self.spec, self.memory, self.status, self.outcome.p
        inside = memory.address_bits - 1  # bits of an address in the image memory
        wide = inside + 1  # of a size: it may be as large as all of it
        columns_bits = wide + max(0, exact_log2(spec.model_bits) - exact_log2(8 * spec.rows))
        stride, columns, left, beyond = Signal(wide), Signal(columns_bits), Signal(16), Signal()
        slot, end, used, behind = Signal(wide), Signal(wide + 1), Signal(columns_bits + 4), Signal(inside)
        m.submodules.halves = halves = Widen(_HALF, ratio=spec.model_bits // _HALF)
        record, ended = self._record(m, halves)
        m.d.comb += [
            self.image.p.address.eq(Cat(slot[:inside], Const(1, 1))), self.image.p.columns.eq(columns),
            self.put.valid.eq(halves.o.valid), halves.o.ready.eq(self.put.ready),
            self.put.p.data.eq(Cat(halves.o.payload)), self.put.p.address.eq(Cat(behind, Const(1, 1))),
        ]
        with m.If(self.put.valid & self.put.ready):
            m.d.sync += behind.eq(behind + 1)
        m.d.sync += status.cycles.eq(status.cycles + status.running)

        def end_run(reason=None):
            m.d.sync += status.running.eq(0)
            if reason is not None:
                m.d.sync += status.reason.eq(reason)
            m.next = "IDLE"

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.run.ready.eq(1)
                with m.If(self.run.valid):
                    m.d.sync += [
                        stride.eq(self.run.p.stride), columns.eq(self.run.p.columns), left.eq(self.run.p.count),
                        slot.eq(self.run.p.first), status.as_value().eq(0), status.running.eq(1),
                        beyond.eq(Cat(self.run.p.first[wide:], self.run.p.stride[wide:],
                                      self.run.p.columns[columns_bits:]).any()),
                    ]
                    m.next = "BOUND"
            with m.State("BOUND"):
                m.d.sync += [
                    end.eq(slot + stride), used.eq(image_words(columns, rows=spec.rows, model_bits=spec.model_bits))]
                m.next = "SLOT"
            with m.State("SLOT"):
                m.d.sync += behind.eq(slot + used)
                m.next = "IMAGE"
                with m.If(left == 0):
                    end_run()
                with m.Elif(beyond | (columns == 0) | (end > memory.lines // 2)
                            | (used + record_words(spec.max_classes, model_bits=spec.model_bits) > stride)):
                    end_run(LinkError.BAD_SLOT)
            with m.State("IMAGE"):
                m.d.comb += self.image.valid.eq(self.store_idle)
                with m.If(self.image.valid & self.image.ready):
                    m.d.comb += self.start.eq(1)
                    m.next = "WAIT"
            with m.State("WAIT"):
                with m.If(self.outcome.valid):
                    m.next = "RECORD"
            with m.State("RECORD"):
                m.d.comb += record.eq(1)
                with m.If(ended & ~halves.o.valid):
                    m.d.comb += self.outcome.ready.eq(1)
                    m.d.sync += [left.eq(left - 1), slot.eq(end), status.done.eq(status.done + 1)]
                    m.next = "BOUND"
                    with m.If(outcome.error != ErrorCode.OK):
                        end_run(LinkError.ACCELERATOR)
        return m

    def _record(self, m, halves):
        """Send the record to ``halves`` while ``record`` is 1; ``ended`` when all of it has been taken."""
        outcome, ratio = self.outcome.p, halves.ratio
        fixed = layout_bytes(RECORD_LAYOUT) // 2
        values = {"cycles": outcome.cycles, "label": outcome.label, "count": outcome.count, "error": outcome.error,
                  "command": outcome.command, "reserved": Const(0)}
        head = Array(
            Cat(values[name], Const(0, 8 * size))[:8 * size].word_select(k, _HALF)
            for name, size in RECORD_LAYOUT for k in range(size // 2))
        record, ended, index = Signal(), Signal(), Signal(17)
        behind_head = (index - fixed)[:17]
        is_logit = (index >= fixed) & (behind_head < outcome.count)
        m.d.comb += [
            ended.eq((index >= fixed) & (behind_head >= outcome.count) & (index % ratio == 0)),
            halves.i.valid.eq(record & ~ended & (~is_logit | self.logits.valid)),
            halves.i.payload.eq(Mux(index < fixed, head[index[:(fixed - 1).bit_length()]], 0)),
            self.logits.ready.eq(record & is_logit & halves.i.ready),
        ]
        with m.If(is_logit):
            m.d.comb += halves.i.payload.eq(self.logits.payload)
        with m.If(~record):
            m.d.sync += index.eq(0)
        with m.Elif(halves.i.valid & halves.i.ready):
            m.d.sync += index.eq(index + 1)
        return record, ended
