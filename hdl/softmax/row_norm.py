"""Logarithm of the row sums, one lane per cycle through one shared pipeline."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.softmax import BLOCK_BITS, BLOCK_OCTAVES, SoftmaxSpec

from ..pipeline import delay
from .row_sum import sum_layout

__all__ = ["RowNorm", "norm_layout"]


def norm_layout(spec: SoftmaxSpec) -> data.ArrayLayout:
    """Return the layout of the norms of a row: one signed number of ``spec.norm_bits`` bits per lane."""
    return data.ArrayLayout(signed(spec.norm_bits), spec.lanes)


class RowNorm(wiring.Component):
    """Row norm ``8 * block + log2(total) - offset`` of each lane, in score units; half a code more for log kinds.

    ``log2`` is the position of the leading one, the mantissa below it and a correction from a small table
    (``spec.log2_correction``). The extra half turns the truncation of the code stage into rounding.

    *Handshake*: rules 1 to 4. A row waits in the input register until the norms of the row before have been taken.

    *Latency* ``lanes + 6`` cycles. *Interval* ``lanes + 6`` cycles per row if the output is taken at once.

    Parameters
    ----------
    spec : SoftmaxSpec
        Widths and table.

    Members
    -------
    i : stream of :func:`vitric.hdl.softmax.row_sum.sum_layout`, in
    o : stream of :func:`norm_layout`, out
    """

    def __init__(self, spec: SoftmaxSpec):
        self.spec = spec
        super().__init__({"i": In(stream.Signature(sum_layout(spec))), "o": Out(stream.Signature(norm_layout(spec)))})

    @property
    def latency(self) -> int:
        """Cycles from a row of sums to its norms."""
        return self.spec.lanes + 6

    @property
    def interval(self) -> int:
        """Cycles per row."""
        return self.spec.lanes + 6

    def elaborate(self, platform):
        """Return the module.

        The row in ``held`` is read lane by lane into a pipeline of six stages: *pick*, *total* (of the sums of digits),
        two halves of the *normalisation*, *logarithm* and *norm*. Results shift into the output register, lane 0
        first, and the next row starts when they have left.
        """
        m = Module()
        spec = self.spec
        held = Signal(sum_layout(spec), reset_less=True)
        held_valid = Signal()
        lane = Signal(range(max(spec.lanes, 2)))
        running = Signal()
        blocked = Signal()  # norms are in the pipeline or in the output register
        final = Signal()
        m.d.comb += [
            running.eq(held_valid & ~blocked),
            final.eq(running & (lane == spec.lanes - 1)),
            self.i.ready.eq(~held_valid | final),
        ]
        with m.If(self.i.ready):
            m.d.sync += [held.eq(self.i.payload), held_valid.eq(self.i.valid)]
        with m.If(running):
            m.d.sync += lane.eq(Mux(final, 0, lane + 1))

        lead_bits = spec.sum_bits - spec.sum_frac  # the leading one is among these many upper bits
        width = lead_bits + spec.frac_bits
        steps = [1 << k for k in reversed(range((lead_bits - 1).bit_length()))]
        half = len(steps) // 2
        lead = lead_bits - 1

        picked = Signal(held.lane.shape().elem_shape, reset_less=True)
        total = Signal(spec.sum_bits, reset_less=True)
        m.d.sync += [picked.eq(held.lane[lane]), total.eq(self._total(picked))]
        coarse, coarse_shift = self._normalise(
            m, "coarse", total[spec.sum_frac - spec.frac_bits:], Const(0, 0), steps[:half])
        fine, fine_shift = self._normalise(m, "fine", coarse, coarse_shift, steps[half:])
        mantissa = fine[width - 1 - spec.frac_bits:width - 1]
        correction = Array(Const(entry, max(spec.log2_correction).bit_length()) for entry in spec.log2_correction)
        log = Signal(spec.frac_bits + (lead + 1).bit_length(), reset_less=True)
        m.d.sync += log.eq(
            Cat(mantissa, lead - fine_shift) + correction[mantissa[spec.frac_bits - spec.log_index_bits:]])

        # The block and the offset travel beside the sum; the offset is the same for all lanes of the row.
        rounding = 1 << spec.code_shift - 1 if spec.logarithmic else 0
        valid, ends = running, final
        for stage in ("picked", "total", "coarse", "fine"):
            valid_q, ends_q = Signal(name=f"{stage}_valid"), Signal(name=f"{stage}_ends")
            m.d.sync += [valid_q.eq(valid), ends_q.eq(ends)]
            valid, ends = valid_q, ends_q
        offset = delay(m, held.offset, Const(1), 4, name="offset")
        block = delay(m, picked.block, Const(1), 3, name="block")
        log_valid, log_ends = Signal(), Signal()
        base = Signal(signed(spec.norm_bits), reset_less=True)
        m.d.sync += [
            log_valid.eq(valid), log_ends.eq(ends),
            base.eq(Cat(Const(rounding, spec.frac_bits + BLOCK_BITS), block).as_signed() - offset),
        ]
        with m.If(log_valid):
            norms = [self.o.payload[index] for index in range(spec.lanes)]
            m.d.sync += [here.eq(after) for here, after in zip(norms, [*norms[1:], base + log], strict=True)]

        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [self.o.valid.eq(0), blocked.eq(0)]
        with m.If(final):
            m.d.sync += blocked.eq(1)
        with m.If(log_ends):
            m.d.sync += self.o.valid.eq(1)
        return m

    @staticmethod
    def _total(picked):
        """Return the sum of a lane from its sums of digits."""
        digits = [picked[name] for name in picked.shape().members if name != "block"]
        total = digits[0]
        for k, digit in enumerate(digits[1:], 1):
            total = Cat(total[:k * BLOCK_OCTAVES], total[k * BLOCK_OCTAVES:] + digit)
        return total

    @staticmethod
    def _normalise(m, name, value, shifted, steps):
        """Shift left by each of ``steps`` whose upper bits are all zero; return value and distance, registered."""
        distance = []
        for step in steps:
            zeros = ~value[len(value) - step:].any()
            value = Mux(zeros, Cat(Const(0, step), value[:len(value) - step]), value)
            distance.insert(0, zeros)
        out = Signal(len(value), name=name, reset_less=True)
        out_distance = Signal(len(steps) + len(shifted), name=f"{name}_shift", reset_less=True)
        m.d.sync += [out.eq(value), out_distance.eq(Cat(*distance, shifted))]
        return out, out_distance
