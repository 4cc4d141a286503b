"""The SDRAM controller with the chip model at its pins, for testbenches."""

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, ResetSignal, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.sdram import BANK_BITS, BUS_BITS, SdramSpec
from vitric.hdl.memory.controller import SdramController
from vitric.hdl.memory.layouts import line_layout, request_layout

__all__ = ["ControllerOnChip", "chip_instance", "chip_parameters"]


def chip_parameters(spec: SdramSpec) -> dict[str, int]:
    """Return the parameters of the module ``sdram_chip`` for a chip that is as slow as ``spec`` says, and no slower."""
    times = ("t_power_up", "t_rcd", "t_rp", "t_ras", "t_ras_max", "t_rc", "t_rrd", "t_wr", "t_rfc", "t_mrd", "t_refi")
    return {
        "ROW_BITS": spec.row_bits, "COLUMN_BITS": spec.column_bits, "CAS_LATENCY": spec.cas_latency,
        "INIT_REFRESHES": spec.init_refreshes, **{name.upper(): round(getattr(spec, name) * 1000) for name in times},
    }


def chip_instance(spec: SdramSpec, pins, *, dq, fault, flip=0, spot=0, drives=None, domain: str = "sync") -> Instance:
    """Return the chip model behind the registered ``pins`` (:func:`~vitric.hdl.memory.layouts.pins_layout`).

    Parameters
    ----------
    spec : SdramSpec
    pins : view of pins_layout(spec)
    dq, fault : Signal
        What the chip drives (16 bits), and the number of the rule that was broken first (5 bits).
    flip, spot : Value
        Bits to invert (16) in the word at row, bank, column.
    drives : Signal, optional
        The chip drives the bus.
    domain : str
        Clock of the chip.
    """
    command = pins.command.as_value()
    return Instance(
        "sdram_chip", **{f"p_{name}": Const(value, 64 if name.startswith("T_") else 32)
                         for name, value in chip_parameters(spec).items()},
        i_clk=ClockSignal(domain), i_reset=ResetSignal(domain), i_cke=Const(1), i_cs_n=Const(0),
        i_ras_n=~command[0], i_cas_n=~command[1], i_we_n=~command[2], i_ba=pins.bank,
        i_a=Cat(pins.address, Const(0, 13 - spec.pin_bits)), i_dqm=pins.mask, i_dq_i=pins.dq, i_dq_oe=pins.drive,
        i_flip=flip, i_spot=spot, o_dq_o=dq, o_fault=fault, o_drives=Signal() if drives is None else drives)


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
        m.submodules.chip = chip_instance(self.spec, controller.pins, dq=controller.dq, fault=self.fault,
                                          flip=self.flip, spot=self.spot, drives=self.drives)
        m.d.comb += [
            controller.request.payload.eq(self.request.payload), controller.request.valid.eq(self.request.valid),
            self.request.ready.eq(controller.request.ready), controller.room.eq(self.room),
            self.line.eq(controller.line), self.arrives.eq(controller.arrives), self.ready.eq(controller.ready),
        ]
        return m
