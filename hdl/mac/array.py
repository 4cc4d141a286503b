"""The multiply-accumulate array: R x C output-stationary dot products of D terms per cycle."""

from dataclasses import replace

from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.check import check_choice
from vitric.golden.spec.mac import MacArraySpec

from ..fabric import FABRICS
from ..fabric.replicas import Replicas
from .block import MacBlock
from .choice import choose_mapping

__all__ = ["MacArray"]

_BLOCK = 4
"""Rows and columns of a block: its operands and control reach no further."""


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
        """Build the control pipeline and the blocks."""
        spec = self.spec if self.fabric is None else choose_mapping(self.spec, self.fabric)
        m = Module()
        blocks = self._blocks(spec)
        en = Signal(1 + sum(len(block.en) for _, _, block in blocks))  # equal bits
        starts, ends, valid, shift = self._control(m, en[0])

        # Each copy of `blocked` is `ends[-1] & o.valid`: one result waits and another ends. Two of `ends[-2]`,
        # `ends[-1]` and `waits` say so a cycle before, in one look-up table, whether or not the array advances; so the
        # enable, which drives every register of the array, comes from one register and `o.ready`.
        m.submodules.blocked = blocked = Replicas(len(en), fabric=self.fabric or "generic")
        waits = self.o.valid & ~self.o.ready
        m.d.comb += [
            blocked.d.eq(ends[-2] & ends[-1] | waits & (ends[-2] | ends[-1])),
            en.eq(~(blocked.q & ~self.o.ready.replicate(len(en)))),
            self.i.ready.eq(en[0]),
        ]
        m.d.sync += self.o.valid.eq(ends[-1] | waits)

        position = 1
        for row, col, block in blocks:
            m.submodules[f"block_{row}_{col}"] = block
            rows, cols = range(block.spec.rows), range(block.spec.cols)
            m.d.comb += [
                block.en.eq(en[position:position + len(block.en)]),
                *(block.a[r].eq(self.i.p.a[row + r]) for r in rows),
                *(block.w[c].eq(self.i.p.w[col + c]) for c in cols),
                block.starts.eq(starts[-3]), block.ends.eq(ends[-2]), block.valid.eq(valid[-2]),
                block.shift.eq(shift[-2]),
                *(self.o.p.acc[row + r][col + c].eq(block.acc[r][c]) for r in rows for c in cols),
            ]
            position += len(block.en)
        return m

    def _blocks(self, spec):
        """Return first row, first column and block: all in one, or of up to ``_BLOCK`` rows and columns.

        The packing of multipliers is that of the whole array; the simulation has no wires.
        """
        whole = self.fabric is None or spec.mapping in ("dsp", "mixed")
        height, width = (spec.rows, spec.cols) if whole else (_BLOCK, _BLOCK)
        corners = [(row, col) for row in range(0, spec.rows, height) for col in range(0, spec.cols, width)]
        return [
            (row, col, MacBlock(
                replace(spec, rows=min(height, spec.rows - row), cols=min(width, spec.cols - col)),
                fabric=self.fabric, shared=len(corners) > 1))
            for row, col in corners
        ]

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
