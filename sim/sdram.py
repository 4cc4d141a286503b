"""The SDRAM controller with the chip model at its pins, for testbenches."""

from types import SimpleNamespace

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, ResetSignal, Signal, Value
from amaranth.lib import io, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.sdram import BANK_BITS, BUS_BITS, SdramSpec
from vitric.hdl.memory.controller import SdramController
from vitric.hdl.memory.layouts import line_layout, request_layout, write_layout
from vitric.hdl.memory.pins import SdramPins
from vitric.hdl.memory.sdram import MEMORY_DOMAIN, Sdram
from vitric.hdl.memory.splitter import read_layout

__all__ = ["ControllerOnChip", "SdramOnChip", "add_chip", "chip_instance", "chip_members", "chip_parameters",
           "simulated_ports"]


def chip_parameters(spec: SdramSpec) -> dict[str, int]:
    """Return the parameters of the module ``sdram_chip`` for a chip that is as slow as ``spec`` says, and no slower."""
    times = ("t_power_up", "t_rcd", "t_rp", "t_ras", "t_ras_max", "t_rc", "t_rrd", "t_wr", "t_rfc", "t_mrd", "t_refi")
    return {
        "ROW_BITS": spec.row_bits, "COLUMN_BITS": spec.column_bits, "CAS_LATENCY": spec.cas_latency,
        "INIT_REFRESHES": spec.init_refreshes, **{name.upper(): round(getattr(spec, name) * 1000) for name in times},
    }


def chip_instance(spec: SdramSpec, *, domain: str = "sync", **ports) -> Instance:
    """Return the chip model; ``ports`` are those of the module but for clock and reset.

    Parameters
    ----------
    spec : SdramSpec
    domain : str
        Clock of the chip. Its reset takes the power away.
    """
    outputs = "dq_o", "drives", "fault"
    return Instance(
        "sdram_chip", **{f"p_{name}": Const(value, 64 if name.startswith("T_") else 32)
                         for name, value in chip_parameters(spec).items()},
        i_clk=ClockSignal(domain), i_reset=ResetSignal(domain),
        **{f"{'o' if name in outputs else 'i'}_{name}": value for name, value in ports.items()})


def simulated_ports(spec: SdramSpec) -> SimpleNamespace:
    """Return ports for :class:`~vitric.hdl.memory.pins.SdramPins` with the polarity of the chip."""
    inverted = {name: io.SimulationPort("o", 1, invert=True, name=name) for name in ("cs", "ras", "cas", "we")}
    plain = {name: io.SimulationPort("o", width, name=name)
             for name, width in (("clk_en", 1), ("ba", BANK_BITS), ("a", spec.pin_bits), ("dqm", 2))}
    return SimpleNamespace(**inverted, **plain, dq=io.SimulationPort("io", BUS_BITS, name="dq"))


def chip_members(spec: SdramSpec) -> dict:
    """Return the members of a design that :func:`add_chip` needs.

    fault : 5, out
        Number of the rule of the chip that was broken first, 0 for none.
    flip : 16, in
    spot : in
        Bits to invert in the word at row, bank, column.
    stuck : 16, in
        Data lines that are 1 whatever the chip drives.
    """
    return {"fault": Out(5), "flip": In(BUS_BITS), "spot": In(BANK_BITS + spec.row_bits + spec.column_bits),
            "stuck": In(BUS_BITS)}


def add_chip(m: Module, design: wiring.Component, memory: wiring.Component, spec: SdramSpec) -> None:
    """Add pins and a chip to a design: ``memory``, in it, has ``pins`` and ``dq``. The chip's clock is ``sdram``'s."""
    ports = simulated_ports(spec)
    m.submodules.pins = pins = SdramPins(spec, ports)
    driven = Signal(BUS_BITS)
    m.submodules.chip = chip_instance(
        spec, domain=MEMORY_DOMAIN, cke=ports.clk_en.o, cs_n=ports.cs.o, ras_n=ports.ras.o, cas_n=ports.cas.o,
        we_n=ports.we.o, ba=ports.ba.o, a=Cat(ports.a.o, Const(0, 13 - spec.pin_bits)), dqm=ports.dqm.o[0],
        dq_i=ports.dq.o, dq_oe=ports.dq.oe[0], dq_o=driven, drives=Signal(), fault=design.fault, flip=design.flip,
        spot=design.spot)
    m.d.comb += [ports.dq.i.eq(driven | design.stuck), pins.pins.eq(memory.pins), memory.dq.eq(pins.dq)]


class ControllerOnChip(wiring.Component):
    """An SDRAM controller and a chip, without registers at the pins: ``spec.capture_cycles`` must be 0.

    Parameters
    ----------
    spec : SdramSpec

    Members
    -------
    Those of :class:`~vitric.hdl.memory.SdramController` but for its pins, and:

    fault : 5, out
        Number of the rule of the chip that was broken first, 0 for none.
    drives : 1, out
        The chip drives the bus.
    flip : 16, in
    spot : in
        Bits to invert in the word at row, bank, column.
    """

    def __init__(self, spec: SdramSpec):
        if spec.capture_cycles:
            raise ValueError(f"capture_cycles must be 0, not {spec.capture_cycles}")
        self.spec = spec
        super().__init__({
            "request": In(stream.Signature(request_layout(spec))), "line": Out(line_layout(spec)), "arrives": Out(1),
            "room": In(1), "ready": Out(1), "fault": Out(5), "drives": Out(1), "flip": In(BUS_BITS),
            "spot": In(BANK_BITS + spec.row_bits + spec.column_bits),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        m.submodules.controller = controller = SdramController(self.spec)
        pins, command = controller.pins, controller.pins.command.as_value()
        m.submodules.chip = chip_instance(
            self.spec, cke=Const(1), cs_n=Const(0), ras_n=~command[0], cas_n=~command[1], we_n=~command[2],
            ba=pins.bank, a=Cat(pins.address, Const(0, 13 - self.spec.pin_bits)), dqm=pins.mask, dq_i=pins.dq,
            dq_oe=pins.drive, dq_o=controller.dq, drives=self.drives, fault=self.fault, flip=self.flip, spot=self.spot)
        m.d.comb += [
            controller.request.payload.eq(self.request.payload), controller.request.valid.eq(self.request.valid),
            self.request.ready.eq(controller.request.ready), controller.room.eq(self.room),
            self.line.eq(controller.line), self.arrives.eq(controller.arrives), self.ready.eq(controller.ready),
        ]
        return m


class SdramOnChip(wiring.Component):
    """An SDRAM for a core, with pins and chip: ``spec.capture_cycles`` must be 2. The chip has the clock of ``sdram``.

    Parameters
    ----------
    spec : SdramSpec

    Members
    -------
    Those of :class:`~vitric.hdl.memory.Sdram` but for its pins, and those of :func:`chip_members`.
    """

    def __init__(self, spec: SdramSpec):
        if spec.capture_cycles != 2:
            raise ValueError(f"capture_cycles must be 2, not {spec.capture_cycles}")
        self.spec = spec
        super().__init__({
            "read": In(stream.Signature(read_layout(spec))), "write": In(stream.Signature(write_layout(spec))),
            "o": Out(stream.Signature(line_layout(spec))), "ready": Out(1), "failed": Out(1),
            **chip_members(spec),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        m.submodules.sdram = sdram = Sdram(self.spec)
        add_chip(m, self, sdram, self.spec)
        for name in ("read", "write"):
            outer, inner = getattr(self, name), getattr(sdram, name)
            m.d.comb += [inner.payload.eq(outer.payload), inner.valid.eq(outer.valid), outer.ready.eq(inner.ready)]
        m.d.comb += [
            Value.cast(self.o.payload).eq(sdram.o.payload), self.o.valid.eq(sdram.o.valid),
            sdram.o.ready.eq(self.o.ready), self.ready.eq(sdram.ready), self.failed.eq(sdram.failed),
        ]
        return m
