"""The top level of a bitstream: a :class:`~vitric.boards.system.System` behind the board's pins, clocked by a PLL."""

from amaranth.build import Platform
from amaranth.hdl import ClockDomain, Elaboratable, Module, Signal
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer
from vitric.golden.spec.sdram_pins import PinTiming
from vitric.hdl.fabric.pll import PllSettings
from vitric.hdl.memory.flash_pins import FlashPins
from vitric.hdl.memory.pins import CHIP_DOMAIN, ChipClock, SdramPins
from vitric.hdl.memory.sdram import MEMORY_DOMAIN

from .system import System

__all__ = ["Top"]


class Top(Elaboratable):
    """The pins of a board, the PLL, reset until it has locked, and the system.

    A ``core_domain`` of the system's own is made without a reset.

    An SDRAM has a second PLL, for the clock of its controller and, shifted in phase, that of the
    chip; its pins are the platform's resource ``sdram``, those of a flash ``spi_flash``.

    Parameters
    ----------
    system : System
    pll : PllSettings
        From the board's oscillator to the clock of the system.
    clock : str
        Resource of the oscillator on the platform.
    leds : int
        LEDs of the board, at most 8; the lower ones of the system's.
    sdram_pll : PllSettings, optional
        From the board's oscillator to the clock of the SDRAM, for a system with one.
    pin_timing : PinTiming, optional
        Delays of the pins of the SDRAM, from which the phase of its clock follows; default: those of an ECP5.
    """

    def __init__(self, system: System, pll: PllSettings, *, clock: str, leds: int,
                 sdram_pll: PllSettings | None = None, pin_timing: PinTiming | None = None):
        self.system = system
        self.pll = pll
        self.clock = clock
        self.leds = leds
        self.sdram_pll = sdram_pll
        self.pin_timing = pin_timing or PinTiming()

    @property
    def clocks(self) -> str:
        """The clocks that leave the PLLs, as constraints for tools that do not find them by themselves (SDC)."""
        made = {"pll": self.pll} | ({"sdram_pll": self.sdram_pll} if self.system.sdram is not None else {})
        return "".join(
            f"create_clock -name {name} -period {1e9 / pll.output_hz:.4f} [get_pins {{{name}/{pll.output}}}]\n"
            for name, pll in made.items())

    def elaborate(self, platform: Platform):
        """Return the module."""
        m = Module()
        m.submodules.clock_buffer = clock = io.Buffer("i", platform.request(self.clock, dir="-"))
        locked = Signal()
        m.domains.sync = sync = ClockDomain()
        if self.system.core_domain != "sync":
            m.domains += (core := ClockDomain(self.system.core_domain, reset_less=True))
            core.clk = sync.clk
        m.submodules.pll = self.pll.instance(clock_in=clock.i, clock_out=sync.clk, locked=locked)
        domains, ready = ["sync"], locked
        if self.system.sdram is not None:
            domains, ready = ["sync", MEMORY_DOMAIN], locked & self._add_sdram(m, platform, clock.i)
        for name in domains:
            m.submodules[f"reset_{name}"] = ResetSynchronizer(~ready, domain=name)

        m.submodules.system = system = self.system
        uart = _request(platform, "uart")
        m.submodules.rx_buffer = rx = io.Buffer("i", uart.rx)
        m.submodules.tx_buffer = tx = io.Buffer("o", uart.tx)
        m.d.comb += [system.rx.eq(rx.i), tx.o.eq(system.tx)]
        for number in range(self.leds):
            m.submodules[f"led_buffer_{number}"] = led = io.Buffer("o", platform.request("led", number, dir="-"))
            m.d.comb += led.o.eq(system.leds[number])
        if system.flash is not None:
            m.submodules.flash_pins = flash = FlashPins(_request(platform, "spi_flash"))
            m.d.comb += [flash.pins.eq(system.flash_pins), system.flash_dq.eq(flash.dq)]
        return m

    def _add_sdram(self, m: Module, platform: Platform, clock_in: Signal) -> Signal:
        """Add the SDRAM's clocks and pins; return whether the clocks are there."""
        spec, pll, locked = self.system.sdram, self.sdram_pll, Signal()
        m.domains += (memory := ClockDomain(MEMORY_DOMAIN), chip := ClockDomain(CHIP_DOMAIN, reset_less=True))
        phase = self.pin_timing.phase(pll.output_hz, steps=pll.phase_steps)
        m.submodules.sdram_pll = pll.instance(
            clock_in=clock_in, clock_out=memory.clk, locked=locked, shifted=chip.clk, degrees=phase)
        ports = _request(platform, "sdram")
        m.submodules.sdram_clock = ChipClock(ports.clk)
        m.submodules.sdram_pins = pins = SdramPins(spec, ports)
        m.d.comb += [pins.pins.eq(self.system.pins), self.system.dq.eq(pins.dq)]
        return locked


def _request(platform: Platform, name: str):
    """Return the ports of a resource with several, all without buffers."""
    return platform.request(name, dir={part.name: "-" for part in platform.lookup(name).ios})
