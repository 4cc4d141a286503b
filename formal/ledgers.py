"""Ledgers of the units: which output beats an input beat is good for, see :mod:`vitric.formal.stream_rules`."""

from amaranth.hdl import Array, Assume, Cat, Module, Mux, ResetSignal, Signal, Value, signed

from .stream_rules import Entry

__all__ = ["accumulates", "looks_up", "narrows", "passes", "requantizes", "rows", "widens"]


def _transfer(m: Module, port) -> Value:
    taken = Signal()
    m.d.comb += taken.eq(port.valid & port.ready)
    return taken


def passes(field: str | None = None):
    """One beat out for each beat in; ``field`` of the payload, or all of it, stays the same."""
    def enter(m, unit):
        payload = unit.i.payload if field is None else unit.i.payload[field]
        return Entry(beats=_transfer(m, unit.i), payloads=[Value.cast(payload)])
    return enter


def widens(m, unit):
    """``ratio`` beats make one."""
    taken, count = _transfer(m, unit.i), Signal(range(unit.ratio))
    beat = Value.cast(unit.i.payload)
    earlier = Signal(len(beat) * (unit.ratio - 1))
    with m.If(taken):
        m.d.sync += [
            earlier.eq(Cat(earlier, beat)[len(beat):]), count.eq(Mux(count == unit.ratio - 1, 0, count + 1))]
    return Entry(beats=taken & (count == unit.ratio - 1), payloads=[Cat(earlier, beat)])


def narrows(m, unit):
    """One beat makes ``ratio``."""
    parts = [Value.cast(unit.i.payload).word_select(k, len(Value.cast(unit.o.payload))) for k in range(unit.ratio)]
    return Entry(beats=Mux(_transfer(m, unit.i), unit.ratio, 0), payloads=parts)


def rows(m, unit):
    """One beat out for each beat in, with the same ``last``, but not before the row is complete.

    Assumed: no row is too long, and no reset comes between, which would only make a bounded proof take longer.
    """
    taken, length = _transfer(m, unit.i), unit.spec.max_length
    begun = Signal(range(length + 1))
    with m.If(taken):
        m.d.sync += begun.eq(Mux(unit.i.p.last, 0, begun + 1))
    m.d.comb += [Assume(~unit.i.valid | unit.i.p.last | (begun < length - 1)), Assume(~ResetSignal())]
    available = unit.affine.valid if hasattr(unit, "affine") else 1
    return Entry(beats=taken, payloads=[Value.cast(unit.i.p.last)], withheld=begun, available=available)


def accumulates(m, unit):
    """One beat for each beat with ``last``: the sum of the products since ``first``, shifted as the beats ask for.

    Assumed: the accumulator holds the result, and a weight is not the most negative code.
    """
    spec, p, taken = unit.spec, unit.i.p, _transfer(m, unit.i)
    results = []
    for r in range(spec.rows):
        for c in range(spec.cols):
            acc = Signal(signed(spec.acc_bits + 8), name=f"wide_{r}_{c}")
            after = Signal.like(acc, name=f"after_{r}_{c}")
            shifted = Array(acc << shift for shift in spec.shifts)[p.shift]
            m.d.comb += after.eq(
                Mux(p.first, 0, shifted) + sum(p.a[r][d] * p.w[c][d] for d in range(spec.depth)))
            limit = 1 << spec.acc_bits - 1
            m.d.comb += Assume(~taken | ((after >= -limit) & (after < limit)))
            m.d.comb += [Assume(p.w[c][d] != -(1 << spec.w_bits - 1)) for d in range(spec.depth)]
            with m.If(taken):
                m.d.sync += acc.eq(after)
            results.append(after[:spec.acc_bits])
    begun = Signal()
    with m.If(taken):
        m.d.sync += begun.eq(~p.last)
    m.d.comb += Assume(p.first == ~begun)
    return Entry(beats=taken & p.last, payloads=[Cat(results)])


def requantizes(m, unit):
    """One beat for each beat, as :func:`vitric.golden.arith.requantize` defines it, with its tag.

    ``clamp(floor(((acc >> pre) + bias) * multiplier / 2**post + 1/2) + zero_point, low, high)``, and ``high`` or
    ``low`` for a sum beyond the multiplier's operand; assumed: ``low <= high``.
    """
    spec, p, taken = unit.spec, unit.i.p, _transfer(m, unit.i)
    m.d.comb += Assume(p.low <= p.high)
    multiplier = p.multiplier if spec.multiplier_bits else 1
    codes = []
    for lane in range(spec.lanes):
        total = Array(p.acc[lane] >> pre for pre, _ in spec.scalings)[p.shift] + p.bias
        product = total * multiplier
        code = Array((product + (1 << post >> 1)) >> post for _, post in spec.scalings)[p.shift] + p.zero_point
        clamped = Mux(code < p.low, p.low, Mux(code > p.high, p.high, code))
        limit = 1 << spec.operand_bits - 1
        clamped = Mux(total >= limit, p.high, Mux(total < -limit, p.low, clamped))
        codes.append(clamped[:spec.code_bits])
    return Entry(beats=taken, payloads=[Cat(codes, p.tag)])


def looks_up(m, unit):
    """One beat for each beat: the entries that were loaded, with the tag; nothing is loaded while beats are inside."""
    spec, p, taken = unit.spec, unit.i.p, _transfer(m, unit.i)
    table = Array(Signal(spec.out_bits, name=f"entry_{k}", reset_less=True) for k in range(spec.entries))
    position, busy = Signal(spec.index_bits), Signal(spec.latency)
    with m.If(unit.table.valid):
        m.d.sync += [table[position].eq(unit.table.payload), position.eq(position + 1)]
    with m.If(unit.i.ready):
        m.d.sync += busy.eq(Cat(unit.i.valid, busy))
    m.d.comb += Assume(~unit.table.valid | ~(busy.any() | unit.i.valid))
    return Entry(beats=taken, payloads=[Cat(*(table[index] for index in p.index), p.tag)])
