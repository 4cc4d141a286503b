"""Some rows and columns of the array, with registers of their own for operands and control."""

from amaranth.hdl import Cat, Module, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.mac import MacArraySpec

from ..fabric.replicas import Replicas
from .dsp import DspTile
from .generic import GenericAccumulator, GenericDot
from .lut import LutAccumulator, LutDot

__all__ = ["MacBlock"]


class MacBlock(wiring.Component):
    """Operand registers, dot products, accumulators and results of ``spec.rows`` times ``spec.cols``.

    *Latency* ``spec.latency`` enabled cycles from the operands to the results; there is no handshake.

    Parameters
    ----------
    spec : MacArraySpec
        Shape of the block, widths and mapping, which is not ``"auto"``.
    fabric : {None, "generic", "ecp5", "ice40", "gowin"}
        See :class:`~vitric.hdl.mac.array.MacArray`.
    shared : bool
        Other blocks register the same operands. The synthesizer must not merge these registers.

    Members
    -------
    a : In, ``rows`` x ``depth`` unsigned ``a_bits``
    w : In, ``cols`` x ``depth`` signed ``w_bits``
        Operands.
    en : In, 1 for each row, 1 for each column, and 1 for each row or as many as :class:`DspTile` has
        Every register advances; all bits must be equal. They drive the accumulators of a row, the weights of a column,
        and the activations, sums and control of a row or some multipliers.
    starts, ends, valid, shift : In
        Flags of the beat that reaches the accumulators with the next enabled cycle, and ``starts`` of the one behind
        it. ``starts`` and ``ends`` are 0 where ``valid`` is.
    acc : Out, ``rows`` x ``cols`` signed ``acc_bits``
        The sums with the last ``ends``.
    """

    def __init__(self, spec: MacArraySpec, *, fabric: str | None, shared: bool):
        self.spec = spec
        self.fabric = fabric
        self._kept = self.fabric if shared and fabric else "generic"
        dsp_cols = {"dsp": spec.cols, "mixed": spec.dsp_cols}.get(spec.mapping, 0) if fabric else 0
        self._tile = DspTile(spec, rows=spec.rows, cols=dsp_cols, fabric=fabric) if dsp_cols else None
        super().__init__({
            "a": In(data.ArrayLayout(data.ArrayLayout(unsigned(spec.a_bits), spec.depth), spec.rows)),
            "w": In(data.ArrayLayout(data.ArrayLayout(signed(spec.w_bits), spec.depth), spec.cols)),
            "en": In(spec.rows + spec.cols + (len(self._tile.en) if self._tile else spec.rows)),
            "starts": In(1), "ends": In(1), "valid": In(1), "shift": In(range(len(spec.shifts))),
            "acc": Out(data.ArrayLayout(data.ArrayLayout(signed(spec.acc_bits), spec.cols), spec.rows)),
        })

    def elaborate(self, platform):
        """Build the registers, and one dot product and accumulator for each row and column."""
        spec = self.spec
        m = Module()
        rows, cols = range(spec.rows), range(spec.cols)
        acc_en, w_en, dot_en = self.en[:spec.rows], self.en[spec.rows:][:spec.cols], self.en[spec.rows + spec.cols:]
        a = [self._operand(m, f"a_{r}", self.a[r], dot_en[r]) for r in rows]
        w = [self._operand(m, f"w_{c}", self.w[c], w_en[c]) for c in cols]
        dots = self._dots(m, a, w, dot_en)
        for r in rows:
            starts, ends, valid = (
                self._copies(m, f"{name}_{r}", flag, dot_en[r], 1)
                for name, flag in (("starts", self.starts), ("ends", self.ends), ("valid", self.valid)))
            shift = [
                self._copies(m, f"shift_{r}_{bit}", flag, dot_en[r], spec.cols) for bit, flag in enumerate(self.shift)]
            for c in cols:
                acc = GenericAccumulator(spec) if self._is_generic else LutAccumulator(spec, fabric=self.fabric)
                m.submodules[f"acc_{r}_{c}"] = acc
                m.d.comb += [
                    acc.dot.eq(dots[r, c]),
                    acc.shift.eq(Cat(copies[c] for copies in shift)),
                    acc.en.eq(acc_en[r] & valid),
                    # The beat behind the one that is being added starts afresh: clear when it takes its place.
                    acc.clear.eq(acc_en[r] & starts),
                ]
                result = Signal(signed(spec.acc_bits), name=f"result_{r}_{c}", reset_less=True)
                with m.If(acc_en[r] & ends):
                    m.d.sync += result.eq(acc.sum)
                m.d.comb += self.acc[r][c].eq(result)
        return m

    @property
    def _is_generic(self):
        """Whether products and sums are left to the synthesizer, or stand for another mapping in simulation."""
        return self.fabric is None or self.spec.mapping == "generic"

    def _operand(self, m, name, d, en):
        """Register the terms of a row or column; they are not reset."""
        m.submodules[name] = register = Replicas(
            1, width=len(d.as_value()), fabric=self._kept, enable=True, reset_less=True)
        m.d.comb += [register.d.eq(d), register.en.eq(en)]
        return data.View(d.shape(), register.q)

    def _dots(self, m, a, w, en):
        """Build the dot products as the mapping says, or what stands for them in simulation; return them by r, c."""
        spec, tile = self.spec, self._tile
        dots = {}
        if tile:
            m.submodules.dsp = tile
            m.d.comb += [tile.en.eq(en), tile.a.eq(Cat(a)), tile.w.eq(Cat(w[:tile.cols]))]
            dots = {(r, c): tile.dot[r][c] for r in range(tile.rows) for c in range(tile.cols)}
        for r in range(spec.rows):
            for c in range(tile.cols if tile else 0, spec.cols):
                dot = GenericDot(spec) if self._is_generic else LutDot(spec, fabric=self.fabric)
                m.submodules[f"dot_{r}_{c}"] = dot
                m.d.comb += [dot.a.eq(a[r]), dot.w.eq(w[c]), dot.en.eq(en[r])]
                dots[r, c] = dot.dot
        return dots

    def _copies(self, m, name, d, en, copies):
        """Register ``d``, for one row or each of its columns: what steers accumulators reaches far in large arrays."""
        m.submodules[name] = replicas = Replicas(copies, fabric=self.fabric or "generic", enable=True)
        m.d.comb += [replicas.d.eq(d), replicas.en.eq(en)]
        return replicas.q
