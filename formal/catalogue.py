"""Every proof of the project: what it says, about which component at which parameters, and how it is done."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from amaranth.hdl import Value, signed, unsigned
from vitric.golden.spec.sdram import SdramSpec
from vitric.hdl.fabric.carry import CarryChain, Cell
from vitric.hdl.fabric.multiply import RegisteredProduct
from vitric.hdl.layernorm import LayerNorm
from vitric.hdl.memory import SdramController
from vitric.hdl.softmax import Softmax
from vitric.hdl.softmax.row_norm import RowNorm
from vitric.hdl.stream_width import Narrow, Widen
from vitric.hdl.streams import DeepQueue, PipelineRegister, Queue, StreamBuffer
from vitric.hdl.units import UNITS
from vitric.integration.axi_lite import AxiLite
from vitric.sim.cells import cell_model

from . import ledgers
from .axi_rules import CHECKS as AXI_CHECKS
from .axi_rules import MAP as AXI_MAP
from .axi_rules import AxiRules
from .prover import Method, Pdr, Unrolled
from .sdram_rules import CHECKS as SDRAM_CHECKS
from .sdram_rules import SdramRules
from .softmax_room import SoftmaxRoom
from .stream_rules import CHECKS, Ledger, StreamRules
from .twins import Arithmetic, Twins

__all__ = ["PROOFS", "Proof"]

_CELLS = ("+/ecp5/cells_sim.v",)
_MULTIPLIER = (str(cell_model("mult18x18d")),)


@dataclass(frozen=True)
class Proof:
    """One proof.

    Attributes
    ----------
    name : str
        ``unit.property``.
    says : str
        What is proved.
    build : callable () -> Component
        The component with its assertions.
    method : Method
    sources : tuple of str
        Models of the instances in it, see :func:`vitric.formal.prover.prove`.
    """

    name: str
    says: str
    build: Callable
    method: Method
    sources: tuple[str, ...] = ()


def _stream(name: str, unit: Callable, ledger: Ledger, *, methods: dict[str, Method] | None = None,
            checks=tuple(CHECKS), sources=()) -> Iterator[Proof]:
    """Return the proofs of a unit's stream rules; unbounded, unless ``methods`` says otherwise of a check."""
    for check in checks:
        method = (methods or {}).get(check, Pdr())
        yield Proof(f"{name}.{check}", CHECKS[check], lambda check=check: StreamRules(unit(), ledger, check), method,
                    sources)


def _plumbing() -> Iterator[Proof]:
    passes = ledgers.passes()
    yield from _stream("register", lambda: PipelineRegister(4), Ledger(enter=passes, capacity=1, latency=1))
    yield from _stream("buffer", lambda: StreamBuffer(4), Ledger(enter=passes, capacity=2, latency=1, refusal=1))
    for depth, buffered in ((1, False), (3, False), (2, True), (5, True)):
        latency = 2 if buffered else 1
        yield from _stream(
            f"queue_{depth}{'_buffered' * buffered}", lambda d=depth, b=buffered: Queue(3, depth=d, buffered=b),
            Ledger(enter=passes, capacity=depth, latency=latency, refusal=latency))
    yield from _stream("queue_deep", lambda: DeepQueue(3, depth=4), Ledger(
        enter=passes, capacity=4, latency=2, refusal=2))
    yield from _stream("widen", lambda: Widen(2, ratio=3), Ledger(enter=ledgers.widens, capacity=1, latency=1))
    yield from _stream(
        "narrow", lambda: Narrow(2, ratio=3), Ledger(enter=ledgers.narrows, capacity=3, latency=1, refusal=2))


def _observe(field: str) -> Callable:
    return lambda unit: Value.cast(unit.o.payload[field])


def _mac() -> Iterator[Proof]:
    unit = UNITS["mac"]
    for name, fabrics in (("mac", ("generic",)), ("mac_lut", ("generic", "ecp5"))):
        spec = unit.make_spec(unit.proved[name])
        ledger = Ledger(enter=ledgers.accumulates, capacity=spec.latency, latency=spec.latency)
        for fabric in fabrics:
            yield from _stream(
                name if len(fabrics) == 1 else f"{name}_{fabric}", partial(unit.make, unit.proved[name], fabric),
                ledger, methods={"order": Unrolled(spec.latency + 5)}, sources=_CELLS if fabric == "ecp5" else ())


def _activation() -> Iterator[Proof]:
    tagged = ledgers.passes("tag")
    requantize, gelu = UNITS["requantize"], UNITS["gelu"]
    for name, settings in requantize.proved.items():
        unit, spec = partial(requantize.make, settings), requantize.make_spec(settings)
        timing = dict(capacity=spec.latency, latency=spec.latency)
        yield from _stream(name, unit, Ledger(enter=tagged, observe=_observe("tag"), **timing))
        yield Proof(
            f"{name}.value", "the code is the definition's, for every input with low <= high",
            lambda unit=unit, timing=timing: StreamRules(
                unit(), Ledger(enter=ledgers.requantizes, **timing), "order"), Unrolled(spec.latency + 2))
    unit, spec = partial(gelu.make, gelu.proved["gelu"]), gelu.make_spec(gelu.proved["gelu"])
    timing = dict(capacity=spec.latency, latency=spec.latency)
    yield from _stream("gelu", unit, Ledger(enter=tagged, observe=_observe("tag"), **timing))
    yield Proof("gelu.value", "every index gives the entry that was loaded",
                lambda: StreamRules(unit(), Ledger(enter=ledgers.looks_up, **timing), "order"), Pdr())


def _rows() -> Iterator[Proof]:
    softmax = UNITS["softmax"].make_spec(UNITS["softmax"].proved["softmax"])
    yield from _stream("softmax_norm", lambda: RowNorm(softmax), Ledger(
        enter=ledgers.passes(), capacity=2, latency=softmax.lanes + 6, refusal=softmax.lanes + 6,
    ), checks=("hold", "count", "progress"))
    last = _observe("last")
    longest = softmax.max_length
    ledger = Ledger(enter=ledgers.rows, capacity=softmax.max_rows * softmax.beats(longest), latency=softmax.latency,
                    refusal=softmax.row_time(longest), observe=last)
    bounded = Unrolled(softmax.latency + 10)
    yield from _stream("softmax", lambda: Softmax(softmax), ledger,
                       methods={"count": bounded, "order": bounded, "progress": bounded})
    yield Proof("softmax.room", "no beat of a row and no sum comes where there is no room for it",
                lambda: SoftmaxRoom(softmax), bounded)
    norm = UNITS["layernorm"].make_spec(UNITS["layernorm"].proved["layernorm"])
    ledger = Ledger(enter=ledgers.rows, capacity=norm.buffer_depth + 10, latency=norm.latency, refusal=70, observe=last)
    bounded = Unrolled(norm.latency + 10)
    yield from _stream("layernorm", lambda: LayerNorm(norm), ledger,
                       methods={"count": bounded, "order": bounded, "progress": bounded})


def _fabric() -> Iterator[Proof]:
    links = [cell for cell in Cell if cell.is_link]
    adders = [cell for cell in Cell if not cell.is_link]
    every = [one for n, link in enumerate(links) for one in (link, *adders[n:], *adders[:n])] + [Cell.LINK_ZERO]
    yield Proof("carry_ecp5.twin", "CCU2C cells equal plain adders, every kind behind every other",
                lambda: Twins(CarryChain(every), CarryChain(every, fabric="ecp5")), Pdr(), _CELLS)
    for a, b in ((signed(4), signed(4)), (signed(4), unsigned(4)), (unsigned(3), unsigned(4))):
        yield Proof(
            f"multiplier_ecp5_{a.signed:d}{b.signed:d}.twin", f"MULT18X18D equals a registered product of {a!r}, {b!r}",
            lambda a=a, b=b: Twins(RegisteredProduct(a, b), RegisteredProduct(a, b, fabric="ecp5")), Unrolled(5),
            _MULTIPLIER)


def _arithmetic() -> Iterator[Proof]:
    for width in (2, 3, 6):
        yield Proof(f"fixed_{width}.definition", f"rounding, saturation, leading one: every number of {width} bits",
                    lambda width=width: Arithmetic(width), Pdr())


def _memory() -> Iterator[Proof]:
    short = dict.fromkeys(("t_power_up", "t_rcd", "t_rp", "t_ras", "t_rrd", "t_wr", "t_rfc", "t_mrd"), 10)
    short |= {"t_rc": 20}
    long = {"t_power_up": 400, "t_rcd": 40, "t_rp": 20, "t_ras": 80, "t_rc": 110, "t_rrd": 20, "t_wr": 60, "t_rfc": 90,
            "t_mrd": 50, "t_refi": 800}  # so that each rule matters
    for burst in (2, 4):
        for check, says in SDRAM_CHECKS.items():
            spec = SdramSpec(clock_hz=100_000_000, burst=burst, row_bits=1, column_bits=4, cas_latency=2, write_batch=2,
                             init_refreshes=2, **(short | {"t_refi": 310 + 30 * burst} if check == "refresh" else long))
            method = Unrolled(90) if check == "refresh" else Pdr()  # power-up, then four periods
            yield Proof(f"sdram_{burst}.{check}", says,
                        lambda spec=spec, check=check: SdramRules(SdramController(spec), check), method)


def _bus() -> Iterator[Proof]:
    for check, says in AXI_CHECKS.items():
        yield Proof(f"axi_lite.{check}", says, lambda check=check: AxiRules(AxiLite(AXI_MAP), check), Pdr())


_PARTS = _arithmetic, _plumbing, _mac, _activation, _rows, _fabric, _memory, _bus

PROOFS: dict[str, Proof] = {proof.name: proof for part in _PARTS for proof in part()}
"""All proofs by name, in the order in which they are done."""
