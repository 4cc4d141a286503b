"""The multiply-accumulate array: R x C output-stationary dot products of D terms per cycle."""

from amaranth.hdl import Cat, Module, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.check import check_choice
from vitric.golden.spec.mac import MacArraySpec

from ..fabric.carry import FABRICS
from ..fabric.replicas import Replicas
from .choice import choose_mapping
from .dsp import DspTile
from .generic import GenericAccumulator, GenericDot
from .lut import LutAccumulator, LutDot

__all__ = ["MacArray"]


class MacArray(wiring.Component):
    """Accumulate ``a @ w.T`` over beats: ``rows`` tokens times ``cols`` channels, ``depth`` terms per beat.

    Each beat computes ``dot[r][c] = sum_d a[r][d] * w[c][d]`` and then
    ``acc = (0 if first else acc << shifts[shift]) + dot``; a beat with ``last`` emits ``acc``. The first beat after
    reset must have ``first``. The arithmetic is exact as long as the accumulator fits ``acc_bits``; weights must not
    be ``-2**(w_bits-1)``.

    *Handshake.* Both ports follow the stream rules. ``first``, ``last`` and ``shift`` belong to the beat; beats of
    one accumulation may be any number of cycles apart. Results are registered apart from the accumulators, so the
    next accumulation proceeds while one waits. The whole array stalls (``i.ready`` low) only in a cycle in which a
    finished result would overwrite one that is not taken: ``i.ready`` depends combinationally on ``o.ready``.

    *Latency / Interval.* ``spec.latency`` cycles from the transfer of a beat with ``last`` to ``o.valid``, the same
    for each mapping; one beat per cycle.

    Parameters
    ----------
    spec : MacArraySpec
        Shape, widths and mapping.
    fabric : {None, "generic", "ecp5", "ice40", "gowin"}
        What to build for. None: simulation; whatever the mapping, plain expressions that simulate fast, with the same
        function and timing. Otherwise the mapping's structure, made of plain adders and products (``"generic"``) or of
        the multipliers, and for ECP5 the carry cells, of the part.

    Members
    -------
    i : In stream of ``{a: rows x depth unsigned a_bits, w: cols x depth signed w_bits, first, last, shift}``
        Operands; ``a[r][d]`` is term d of token r, ``w[c][d]`` term d of channel c, ``shift`` an index into
        ``spec.shifts``.
    o : Out stream of ``{acc: rows x cols signed acc_bits}``
        Results; ``acc[r][c]``.
    """

    def __init__(self, spec: MacArraySpec, fabric: str | None = None):
        check_choice("fabric", fabric, (None, *FABRICS))
        self.spec = spec
        self.fabric = fabric
        i_layout = data.StructLayout({
            "a": data.ArrayLayout(data.ArrayLayout(unsigned(spec.a_bits), spec.depth), spec.rows),
            "w": data.ArrayLayout(data.ArrayLayout(signed(spec.w_bits), spec.depth), spec.cols),
            "first": 1,
            "last": 1,
            "shift": range(len(spec.shifts)),
        })
        o_layout = data.StructLayout({
            "acc": data.ArrayLayout(data.ArrayLayout(signed(spec.acc_bits), spec.cols), spec.rows),
        })
        super().__init__({"i": In(stream.Signature(i_layout)), "o": Out(stream.Signature(o_layout))})

    @property
    def latency(self) -> int:
        """Cycles from the transfer of a beat with ``last`` to ``o.valid``, without stalls."""
        return self.spec.latency

    @property
    def interval(self) -> int:
        """Cycles between accepted beats, without stalls."""
        return self.spec.interval

    def elaborate(self, platform):
        """Build the control pipeline, the operand registers and one dot product and accumulator for each r, c."""
        spec = self.spec if self.fabric is None else choose_mapping(self.spec, self.fabric)
        m = Module()
        rows = range(spec.rows)
        dsp_cols = self._dsp_cols(spec)
        tile = DspTile(spec, rows=spec.rows, cols=dsp_cols, fabric=self.fabric) if dsp_cols else None
        # equal bits: for the accumulators of each row, the weights of each column, the sums and the control of each
        # row or some multipliers each, and the control of all
        en = Signal(spec.rows + spec.cols + (len(tile.en) if tile else spec.rows) + 1)
        acc_en, w_en, dot_en = en[:spec.rows], en[spec.rows:spec.rows + spec.cols], en[spec.rows + spec.cols:-1]
        starts, ends, valid, shift = self._control(m, en[-1])

        # Each copy of `blocked` is `ends[-1] & o.valid`: one result waits and another ends. Two of `ends[-2]`,
        # `ends[-1]` and `waits` say so a cycle before, in one look-up table, whether or not the array advances; so the
        # enable, which drives every register of the array, comes from one register and `o.ready`.
        m.submodules.blocked = blocked = Replicas(len(en), fabric=self.fabric or "generic")
        waits = self.o.valid & ~self.o.ready
        m.d.comb += [
            blocked.d.eq(ends[-2] & ends[-1] | waits & (ends[-2] | ends[-1])),
            en.eq(~(blocked.q & ~self.o.ready.replicate(len(en)))),
            self.i.ready.eq(en[-1]),
        ]
        m.d.sync += self.o.valid.eq(ends[-1] | waits)

        a = [Signal.like(self.i.p.a[r], name=f"a_{r}", reset_less=True) for r in rows]
        w = [Signal.like(self.i.p.w[c], name=f"w_{c}", reset_less=True) for c in range(spec.cols)]
        for r in rows:
            with m.If(dot_en[r]):
                m.d.sync += a[r].eq(self.i.p.a[r])
        for c in range(spec.cols):
            with m.If(w_en[c]):
                m.d.sync += w[c].eq(self.i.p.w[c])

        dots = self._dots(m, spec, tile, a, w, dot_en)
        for r in rows:
            row_starts, row_ends, row_valid = (
                self._copies(m, f"{name}_{r}", flag, dot_en[r], 1) for name, flag in (
                    ("starts", starts[-3]), ("ends", ends[-2]), ("valid", valid[-2])))
            row_shift = [
                self._copies(m, f"shift_{r}_{bit}", flag, dot_en[r], spec.cols) for bit, flag in enumerate(shift[-2])]
            for c in range(spec.cols):
                acc = self._accumulator(spec)
                m.submodules[f"acc_{r}_{c}"] = acc
                m.d.comb += [
                    acc.dot.eq(dots[r, c]),
                    acc.shift.eq(Cat(copies[c] for copies in row_shift)),
                    acc.en.eq(acc_en[r] & row_valid),
                    # The beat behind the one that is being added starts afresh: clear when it takes its place.
                    acc.clear.eq(acc_en[r] & row_starts),
                ]
                result = Signal(signed(spec.acc_bits), name=f"result_{r}_{c}", reset_less=True)
                with m.If(acc_en[r] & row_ends):
                    m.d.sync += result.eq(acc.sum)
                m.d.comb += self.o.p.acc[r][c].eq(result)
        return m

    def _dsp_cols(self, spec):
        """Return how many columns are built from multipliers."""
        mapping = "generic" if self.fabric is None else spec.mapping
        return {"dsp": spec.cols, "mixed": spec.dsp_cols}.get(mapping, 0)

    def _dots(self, m, spec, tile, a, w, en):
        """Build the dot products as the mapping says, or what stands for them in simulation; return them by r, c."""
        dots = {}
        if tile:
            m.submodules.dsp = tile
            m.d.comb += [tile.en.eq(en), tile.a.eq(Cat(a)), tile.w.eq(Cat(w[:tile.cols]))]
            dots = {(r, c): tile.dot[r][c] for r in range(tile.rows) for c in range(tile.cols)}
        for r in range(spec.rows):
            for c in range(tile.cols if tile else 0, spec.cols):
                dot = self._dot(spec)
                m.submodules[f"dot_{r}_{c}"] = dot
                m.d.comb += [dot.a.eq(a[r]), dot.w.eq(w[c]), dot.en.eq(en[r])]
                dots[r, c] = dot.dot
        return dots

    def _dot(self, spec):
        """Return a dot product of the mapping, or what stands for it in simulation."""
        if self.fabric is None or spec.mapping == "generic":
            return GenericDot(spec)
        return LutDot(spec, fabric=self.fabric)

    def _accumulator(self, spec):
        """Return an accumulator of the mapping, or what stands for it in simulation."""
        if self.fabric is None or spec.mapping == "generic":
            return GenericAccumulator(spec)
        return LutAccumulator(spec, fabric=self.fabric)

    def _copies(self, m, name, d, en, copies):
        """Register ``d``, for one row or each of its columns: what steers accumulators reaches far in large arrays."""
        m.submodules[name] = replicas = Replicas(copies, fabric=self.fabric or "generic", enable=True)
        m.d.comb += [replicas.d.eq(d), replicas.en.eq(en)]
        return replicas.q

    def _control(self, m, en):
        """Delay the sidebands beside the data: item 0 the input, 1 with the operand registers, -1 at the accumulator.

        ``first`` and ``last`` are joined with ``valid`` at the start, so that enable and clear, which drive every
        register of the array, come from as little logic as possible.
        """
        payload, valid = self.i.p, self.i.valid
        source = payload.first & valid, payload.last & valid, valid, payload.shift
        stages = [source]
        for stage in range(self.spec.tree_levels + 1):
            flags = tuple(
                Signal.like(flag, name=f"{name}_{stage}")
                for name, flag in zip(("starts", "ends", "valid", "shift"), source, strict=True)
            )
            with m.If(en):
                m.d.sync += [q.eq(flag) for q, flag in zip(flags, source, strict=True)]
            stages.append(flags)
            source = flags
        return zip(*stages, strict=True)
