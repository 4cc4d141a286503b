"""The LayerNorm unit: row buffer, sums, shared row arithmetic and the lanes' output pipeline."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.check import check_choice
from vitric.golden.spec.layernorm import LayerNormSpec

from ..fabric import FABRICS
from .apply import AFFINE_STAGE, SCALE_HOLD, LaneApply
from .layouts import affine_layout, constants_layout, input_layout, output_layout, row_layout
from .moments import CAPTURE_CYCLES, Moments
from .row_scale import RowScale
from .scheduler import Scheduler

__all__ = ["LayerNorm"]


class LayerNorm(wiring.Component):
    """Normalise ``lanes`` rows side by side, one channel per cycle, and requantize.

    A group of rows enters channel by channel, is stored, and leaves in the same order when its constants are known;
    the next groups enter meanwhile. Formulas and number formats are those of ``LayerNormSpec``, and the codes
    those of :func:`vitric.golden.integer.layernorm.layernorm`, bit for bit.

    *Handshake*: stream rules 1 to 4 on ``i``, ``affine`` and ``o``. ``last`` marks the last channel of a group; a group
    has 1 to ``max_length`` channels (not checked: a longer one fills the buffer and the unit stops). One beat of
    ``affine`` is taken per output beat, in channel order, and must be sent again for every group. ``row`` must hold the
    constants of the group's length while the beat with ``last`` is transferred; with ``static_row`` from then on
    until the group has left, and all groups under way have that length.
    A stall of ``o`` or ``affine`` stops the output pipeline; input goes on until the buffer is full.

    *Latency* ``spec.latency`` cycles from the beat with ``last`` to the first output beat, if nothing else is under
    way. *Interval* 1 cycle per beat. After the last beat of a group the input rests for ``spec.pause`` cycles, in which
    the sums leave the accumulators. Groups of less than ``spec.min_length_full_rate`` channels follow each other every
    ``min_length_full_rate + pause`` cycles or less, because all lanes share the row arithmetic.

    Parameters
    ----------
    spec : LayerNormSpec
    static_row : bool
        All rows under way have one length, and the constants of it hold at the port, so that none are kept.
    fabric : {"generic", "ecp5", "ice40", "gowin"}
        What multipliers and adders are built of, see :class:`vitric.hdl.fabric.multiply.RegisteredProduct`.

    Members
    -------
    i : stream of ``input_layout(spec)``, in
    row : ``row_layout(spec)``, in
        ``inverse``, ``norm``, ``exponent`` of ``spec.row_constants(length)``.
    affine : stream of ``affine_layout(spec)``, in
    o : stream of ``output_layout(spec)``, out
    """

    interval = 1

    def __init__(self, spec: LayerNormSpec, *, static_row: bool = False, fabric: str = "generic"):
        if not isinstance(spec, LayerNormSpec):
            raise TypeError(f"spec must be a LayerNormSpec, not {spec!r}")
        check_choice("fabric", fabric, FABRICS)
        self.spec = spec
        self.static_row = static_row
        self.fabric = fabric
        self.latency = spec.latency
        super().__init__({
            "i": In(stream.Signature(input_layout(spec))), "row": In(row_layout(spec)),
            "affine": In(stream.Signature(affine_layout(spec))), "o": Out(stream.Signature(output_layout(spec))),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec = self.spec
        m.submodules.buffer = buffer = Memory(
            shape=data.ArrayLayout(signed(spec.in_bits), spec.lanes), depth=spec.buffer_depth, init=[])
        m.submodules.moments = moments = Moments(spec, fabric=self.fabric)
        m.submodules.scheduler = scheduler = Scheduler(spec, static_row=self.static_row)
        m.submodules.row_scale = row_scale = RowScale(spec, static_row=self.static_row, fabric=self.fabric)
        freed = Signal()
        self._accept(m, buffer.write_port(), moments, scheduler, freed)
        m.d.comb += [
            moments.load.eq(scheduler.load), moments.next_lane.eq(scheduler.next_lane),
            moments.phase.eq(scheduler.phase),
            row_scale.phase.eq(scheduler.phase), row_scale.limb.eq(moments.limb),
            row_scale.constants.eq(scheduler.constants), scheduler.result.eq(row_scale.result),
        ]
        self._drain(m, buffer.read_port(), scheduler, freed)
        return m

    def _accept(self, m, write, moments, scheduler, freed):
        """Store and add up the input; hand the sums of complete groups to the scheduler."""
        spec = self.spec
        level = Signal(range(spec.buffer_depth))   # beats in the buffer, 0 if it is full
        is_full = Signal()
        count = Signal(signed(spec.length_bits + 1))   # minus the beats of the group so far
        waiting = Signal()   # a complete group stands in the accumulators while the sums before it are still read
        taken = Signal()     # sums of a group are on their way to the memory or still to be read
        moving = Signal()    # the sums move
        moved = Signal(range(spec.lanes))   # cycles that they have moved
        capture, captured = Signal(), Signal(CAPTURE_CYCLES - 1)
        accept, ends = Signal(), Signal()
        pending = Signal(constants_layout(spec), reset_less=True)
        m.d.comb += [
            self.i.ready.eq(~is_full & ~waiting & ~moving),
            accept.eq(self.i.valid & self.i.ready), ends.eq(accept & self.i.p.last),
            write.en.eq(accept), write.data.eq(self.i.p.x),
            moments.x.eq(self.i.p.x), moments.add.eq(accept), moments.shift.eq(moving),
            capture.eq((ends | waiting) & ~taken),
        ]
        m.d.sync += [
            level.eq(level + accept - freed),
            is_full.eq(~freed & (is_full | accept & (level == spec.buffer_depth - 1))),
            waiting.eq((ends | waiting) & taken), captured.eq(Cat(capture, captured)),
        ]
        with m.If(accept):
            m.d.sync += [write.addr.eq(write.addr + 1), count.eq(Mux(ends, 0, count - 1))]
        with m.If(ends):
            m.d.sync += pending.minus_length.eq(count - 1)
        if self.static_row:
            m.d.comb += [scheduler.captured.minus_length.eq(pending.minus_length), scheduler.captured.row.eq(self.row)]
        else:
            with m.If(ends):
                m.d.sync += pending.row.eq(self.row)
            with m.If(captured[0]):
                m.d.sync += scheduler.captured.eq(pending)
        with m.If(captured[-1]):
            m.d.sync += scheduler.full.eq(1)
        with m.If(moving):
            m.d.sync += moved.eq(moved + 1)
            with m.If(moved == spec.lanes - 1):
                m.d.sync += [moving.eq(0), moved.eq(0)]
        with m.If(capture):
            m.d.sync += [taken.eq(1), moving.eq(1)]
        with m.If(scheduler.release):
            m.d.sync += [taken.eq(0), scheduler.full.eq(0)]

    def _drain(self, m, read, scheduler, freed):
        """Read computed groups from the buffer and send them through the lanes; the pipeline stalls as a whole."""
        spec = self.spec
        # The buffer's read port and a register after it, because the way to the multipliers is long; then the lane.
        stages = 2 + LaneApply.latency
        valid = Signal(stages)                        # bit k: a beat was read k + 1 enabled cycles ago
        last = Signal(stages, reset_less=True)
        fresh = Signal(1 + SCALE_HOLD)                # like valid, only for the first beat of a group
        x = Signal(read.data.shape(), reset_less=True)
        reading, first, fetched = Signal(), Signal(), Signal()
        remaining = Signal(signed(spec.length_bits + 1), reset_less=True)   # minus the beats to read
        room, en, final, begin = Signal(), Signal(), Signal(), Signal()
        needs_affine = valid[1 + AFFINE_STAGE]
        m.d.comb += [
            self.o.valid.eq(valid[-1]), self.o.p.last.eq(last[-1]),
            room.eq(self.o.ready | ~self.o.valid),
            self.affine.ready.eq(room & needs_affine), en.eq(room & (self.affine.valid | ~needs_affine)),
            freed.eq(reading & en), read.en.eq(freed), final.eq(remaining.all()),
            begin.eq(scheduler.scales_full & ~fetched & (~reading | (final & en))),
            scheduler.scales_release.eq(fresh[-1] & en),
        ]
        with m.If(en):
            m.d.sync += [
                valid.eq(Cat(reading, valid)), last.eq(Cat(final, last)), fresh.eq(Cat(reading & first, fresh)),
                x.eq(read.data),
            ]
        with m.Elif(self.o.ready):
            m.d.sync += valid[-1].eq(0)
        with m.If(freed):
            m.d.sync += [
                read.addr.eq(read.addr + 1), remaining.eq(remaining + 1), first.eq(0), reading.eq(~final),
            ]
        with m.If(begin):
            m.d.sync += [reading.eq(1), first.eq(1), fetched.eq(1), remaining.eq(scheduler.minus_length)]
        with m.If(scheduler.scales_release):
            m.d.sync += fetched.eq(0)

        half = 1 << spec.beta_fraction - 1
        beta = [Signal(signed(spec.beta_bits + 1), reset_less=True, name=f"beta_{k}") for k in range(2)]
        with m.If(en):
            m.d.sync += [beta[0].eq(self.affine.p.beta + half), beta[1].eq(beta[0])]
        for lane in range(spec.lanes):
            m.submodules[f"lane_{lane}"] = apply = LaneApply(spec, fabric=self.fabric)
            m.d.comb += [
                apply.en.eq(en), apply.load.eq(fresh[0]), apply.scale.eq(scheduler.scales[lane]),
                apply.x.eq(x[lane]), apply.gamma.eq(self.affine.p.gamma), apply.beta.eq(beta[1]),
                self.o.p.code[lane].eq(apply.code),
            ]
