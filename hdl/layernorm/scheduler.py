"""Which row is in which stage of the shared arithmetic, and where its results go."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.layernorm import LayerNormSpec

from .layouts import constants_layout, lane_scale_layout
from .row_scale import result_cycle

__all__ = ["Scheduler"]


class Scheduler(wiring.Component):
    """Feed the rows of a captured group to the row arithmetic and collect the results in two banks.

    Results are written into one bank row by row and move to the bank ``scales`` together when it is free. Up to two
    groups are between capture and ``scales``; the second starts only when nothing but the first can fill ``scales``,
    so that the arithmetic never has to stop.

    *Timing*: the first row is in phase 0 one cycle after ``full`` is seen with nothing under way. Otherwise rows start
    every 8 cycles.

    Parameters
    ----------
    spec : LayerNormSpec
    static_row : bool
        ``captured`` holds for all groups under way.

    Members
    -------
    full : 1, in
        The sums of a group can be read, ``captured`` are its constants.
    captured : ``constants_layout``, in
    release : 1, out
        The last sums of the group have been read; the next may be written from the next cycle on.
    load, next_lane : 1 and lane, out
        Read the sums of this lane, the next row to start.
    phase : unsigned(3), out
    constants : ``constants_layout``, out
        Of the row that is in its first 8 cycles.
    result : ``lane_scale_layout``, in
        From the row arithmetic, sampled in cycle ``result_cycle(spec)`` of each row.
    scales_full, scales_release : 1, out and in
        ``scales`` and ``minus_length`` are valid; they may be replaced.
    scales : array of ``lane_scale_layout``, out
    minus_length : signed, out
    """

    def __init__(self, spec: LayerNormSpec, *, static_row: bool = False):
        self.spec = spec
        self.static_row = static_row
        super().__init__({
            "full": In(1), "captured": In(constants_layout(spec)), "release": Out(1),
            "load": Out(1), "next_lane": Out(range(max(spec.lanes, 2))), "phase": Out(3),
            "constants": Out(constants_layout(spec)), "result": In(lane_scale_layout(spec)),
            "scales_full": Out(1), "scales_release": In(1),
            "scales": Out(data.ArrayLayout(lane_scale_layout(spec), spec.lanes)),
            "minus_length": Out(signed(spec.length_bits + 1)),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec = self.spec
        ages = 1 + result_cycle(spec) // spec.row_interval
        busy = Signal(ages)   # bit k: there is a row that started between 8*k and 8*k + 7 cycles ago
        lane = [Signal(range(max(spec.lanes, 2)), name=f"lane_{k}", reset_less=True) for k in range(ages)]
        last_lane = self.next_lane == spec.lanes - 1
        step, more, start, done, move = Signal(), Signal(), Signal(), Signal(), Signal()
        queued = Signal(range(3))   # groups that have started and are not yet in `scales`
        results_full = Signal()
        results = [Signal(lane_scale_layout(spec), name=f"result_{k}", reset_less=True) for k in range(spec.lanes)]

        may_start = self.full & ((queued == 0) | ((queued == 1) & ~self.scales_full))
        m.d.comb += [
            self.load.eq(step),
            step.eq(~busy.any() | (self.phase == spec.row_interval - 1)),
            more.eq(busy[0] & (lane[0] != spec.lanes - 1)),
            start.eq(step & ~more & may_start),
            self.release.eq((start | more & step) & last_lane),
            move.eq(results_full & ~self.scales_full),
        ]
        m.d.sync += [self.phase.eq(Mux(step, 0, self.phase + 1)), queued.eq(queued + start - move)]
        with m.If(step):
            m.d.sync += [busy.eq(busy << 1 | more | start), lane[0].eq(self.next_lane)]
            m.d.sync += [new.eq(old) for new, old in zip(lane[1:], lane, strict=False)]
        with m.If(start | (more & step)):
            m.d.sync += self.next_lane.eq(Mux(last_lane, 0, self.next_lane + 1))

        with m.If(busy[-1] & (self.phase == result_cycle(spec) % spec.row_interval)):
            for index, result in enumerate(results):
                with m.If(lane[-1] == index):
                    m.d.sync += result.eq(self.result)
            m.d.comb += done.eq(lane[-1] == spec.lanes - 1)
        with m.If(done):
            m.d.sync += results_full.eq(1)
        with m.If(self.scales_release):
            m.d.sync += self.scales_full.eq(0)
        with m.If(move):
            m.d.sync += [
                self.scales_full.eq(1), results_full.eq(0),
                *(self.scales[k].eq(result) for k, result in enumerate(results)),
            ]
        self._lengths(m, ages, step, start, done, move)
        return m

    def _lengths(self, m, ages, step, start, done, move):
        """Keep the constants of the row that starts, and the length of each row's group until it is in ``scales``."""
        if self.static_row:
            m.d.comb += [self.constants.eq(self.captured), self.minus_length.eq(self.captured.minus_length)]
            return
        length = [self.constants.minus_length,
                  *(Signal.like(self.minus_length, name=f"length_{k}", reset_less=True) for k in range(1, ages))]
        results_length = Signal.like(self.minus_length, reset_less=True)
        with m.If(step):
            m.d.sync += [new.eq(old) for new, old in zip(length[1:], length, strict=False)]
        with m.If(start):
            m.d.sync += self.constants.eq(self.captured)
        with m.If(done):
            m.d.sync += results_length.eq(length[-1])
        with m.If(move):
            m.d.sync += self.minus_length.eq(results_length)
