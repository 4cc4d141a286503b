"""The clock generator of ECP5: dividers for a wanted frequency, and the instance that uses them."""

from dataclasses import dataclass
from fractions import Fraction

from amaranth.hdl import Const, Instance, Signal

__all__ = ["EhxpllSettings", "ehxpll_settings"]

_PHASE_DETECTOR_MIN = 10  # MHz; limits of the ECP5 family data sheet, table "sysCLOCK PLL Timing"
_VCO_RANGE = (400, 800)
_DIVIDER_MAX = 128


@dataclass(frozen=True)
class EhxpllSettings:
    """Dividers of one EHXPLLL; frequencies in MHz.

    The oscillator runs at ``input / input_divider * feedback_divider``, and the clock at that over
    ``output_divider``.
    """

    input_mhz: Fraction
    input_divider: int
    feedback_divider: int
    output_divider: int

    @property
    def vco_mhz(self) -> Fraction:
        """Frequency of the oscillator."""
        return self.input_mhz / self.input_divider * self.feedback_divider

    @property
    def output_mhz(self) -> Fraction:
        """Frequency of the clock."""
        return self.vco_mhz / self.output_divider

    @property
    def output_hz(self) -> int:
        """Frequency of the clock in Hz, rounded."""
        return round(self.output_mhz * 1_000_000)

    output = "CLKOS"
    """Port of the clock."""

    @property
    def phase_steps(self) -> int:
        """In how many parts of a turn a shifted clock can be later."""
        return 8 * self.output_divider

    def phase(self, degrees: float) -> tuple[int, int]:
        """Return the whole and the eighth periods of the oscillator that delay the clock by a part of its own period.

        Raises
        ------
        ValueError
            ``degrees`` is not from 0 up to, but not with, 360.
        """
        if not 0 <= degrees < 360:
            raise ValueError(f"degrees must be at least 0 and below 360, not {degrees:g}")
        return divmod(round(degrees / 360 * self.output_divider * 8), 8)

    def instance(self, *, clock_in: Signal, clock_out: Signal, locked: Signal, shifted: Signal | None = None,
                 degrees: float = 0) -> Instance:
        """Return the EHXPLLL instance: feedback through CLKOP at the phase detector's frequency, the clock at CLKOS.

        ``shifted``, at CLKOS2, is the same clock, later by ``degrees`` of its period in steps of an eighth of the
        oscillator's.
        """
        low = Const(0, 1)
        whole, eighths = self.phase(degrees)
        second = {} if shifted is None else {
            "p_CLKOS2_ENABLE": "ENABLED", "p_CLKOS2_DIV": self.output_divider,
            "p_CLKOS2_CPHASE": self.output_divider - 1 + whole, "p_CLKOS2_FPHASE": eighths, "o_CLKOS2": shifted,
            "a_FREQUENCY_PIN_CLKOS2": f"{float(self.output_mhz):g}", "i_ENCLKOS2": low,
        }
        return Instance(
            "EHXPLLL",
            a_FREQUENCY_PIN_CLKI=f"{float(self.input_mhz):g}",
            a_FREQUENCY_PIN_CLKOS=f"{float(self.output_mhz):g}",
            a_ICP_CURRENT="12", a_LPF_RESISTOR="8", a_MFG_ENABLE_FILTEROPAMP="1", a_MFG_GMCREF_SEL="2",
            p_PLLRST_ENA="DISABLED", p_INTFB_WAKE="DISABLED", p_STDBY_ENABLE="DISABLED", p_DPHASE_SOURCE="DISABLED",
            p_OUTDIVIDER_MUXA="DIVA", p_OUTDIVIDER_MUXB="DIVB", p_OUTDIVIDER_MUXC="DIVC", p_OUTDIVIDER_MUXD="DIVD",
            p_CLKI_DIV=self.input_divider, p_CLKFB_DIV=1, p_FEEDBK_PATH="CLKOP",
            p_CLKOP_ENABLE="ENABLED", p_CLKOP_DIV=self.feedback_divider,
            p_CLKOP_CPHASE=self.feedback_divider - 1, p_CLKOP_FPHASE=0,
            p_CLKOS_ENABLE="ENABLED", p_CLKOS_DIV=self.output_divider,
            p_CLKOS_CPHASE=self.output_divider - 1, p_CLKOS_FPHASE=0,
            i_RST=low, i_STDBY=low, i_CLKI=clock_in, i_CLKFB=(feedback := Signal(name="pll_feedback")),
            i_PHASESEL0=low, i_PHASESEL1=low, i_PHASEDIR=Const(1, 1), i_PHASESTEP=Const(1, 1),
            i_PHASELOADREG=Const(1, 1),
            i_PLLWAKESYNC=low, i_ENCLKOP=low, i_ENCLKOS=low,
            o_CLKOP=feedback, o_CLKOS=clock_out, o_LOCK=locked, **second,
        )


def ehxpll_settings(input_mhz: float, output_mhz: float) -> EhxpllSettings:
    """Return the settings that come nearest to ``output_mhz``.

    Parameters
    ----------
    input_mhz : float
        10 to 400.
    output_mhz : float
        10 to 400. The result may differ by up to about 1 %: see :attr:`EhxpllSettings.output_mhz`.

    Raises
    ------
    ValueError
        A frequency is out of range.
    """
    for name, value in (("input", input_mhz), ("output", output_mhz)):
        if not 10 <= value <= 400:
            raise ValueError(f"{name} clock must be between 10 and 400 MHz, not {value:g}")
    source, wanted = Fraction(input_mhz).limit_denominator(1000), Fraction(output_mhz).limit_denominator(1000)
    settings = [
        EhxpllSettings(source, divider, feedback, output)
        for divider in range(1, int(source / _PHASE_DETECTOR_MIN) + 1)
        for feedback in range(1, _DIVIDER_MAX + 1)
        if _VCO_RANGE[0] <= source / divider * feedback <= _VCO_RANGE[1]
        for output in range(1, _DIVIDER_MAX + 1)
    ]
    middle = sum(_VCO_RANGE) / 2
    return min(settings, key=lambda s: (abs(s.output_mhz - wanted), s.input_divider, abs(s.vco_mhz - middle)))
