"""The clock generator of Gowin's parts: dividers for a wanted frequency, and the instance that uses them."""

from dataclasses import dataclass
from fractions import Fraction

from amaranth.hdl import Const, Instance, Signal

__all__ = ["RpllSettings", "rpll_settings"]

_PHASE_DETECTOR_RANGE = (3, 400)  # MHz; Gowin's data sheets DS117 (GW1NR) and DS226 (GW2AR), "PLL Parameters"
_DIVIDERS = range(1, 65)
_OUTPUT_DIVIDERS = (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128)


@dataclass(frozen=True)
class RpllSettings:
    """Dividers of one rPLL; frequencies in MHz.

    The clock runs at ``input / input_divider * feedback_divider``, and the oscillator at that times
    ``output_divider``, which must lie in the range of the part.
    """

    device: str
    input_mhz: Fraction
    input_divider: int
    feedback_divider: int
    output_divider: int

    output = "CLKOUT"
    """Port of the clock."""
    phase_steps = 16
    """In how many parts of a turn a shifted clock can be later."""

    @property
    def output_mhz(self) -> Fraction:
        """Frequency of the clock."""
        return self.input_mhz / self.input_divider * self.feedback_divider

    @property
    def vco_mhz(self) -> Fraction:
        """Frequency of the oscillator."""
        return self.output_mhz * self.output_divider

    @property
    def output_hz(self) -> int:
        """Frequency of the clock in Hz, rounded."""
        return round(self.output_mhz * 1_000_000)

    def instance(self, *, clock_in: Signal, clock_out: Signal, locked: Signal, shifted: Signal | None = None,
                 degrees: float = 0) -> Instance:
        """Return the rPLL instance: feedback inside, the clock at CLKOUT.

        ``shifted``, at CLKOUTP, is the same clock, later by ``degrees`` of its period in steps of 22.5.
        """
        step = round(degrees / 360 * self.phase_steps) % self.phase_steps
        second = {} if shifted is None else {"o_CLKOUTP": shifted}
        return Instance(
            "rPLL", p_FCLKIN=f"{float(self.input_mhz):g}", p_DEVICE=self.device,
            p_IDIV_SEL=self.input_divider - 1, p_FBDIV_SEL=self.feedback_divider - 1, p_ODIV_SEL=self.output_divider,
            p_DYN_IDIV_SEL="false", p_DYN_FBDIV_SEL="false", p_DYN_ODIV_SEL="false", p_DYN_DA_EN="false",
            p_PSDA_SEL=f"{step:04b}", p_DUTYDA_SEL="1000",  # falls eight steps after it rises
            p_CLKFB_SEL="internal", i_CLKIN=clock_in, i_CLKFB=Const(0, 1), i_RESET=Const(0, 1), i_RESET_P=Const(0, 1),
            i_FBDSEL=Const(0, 6), i_IDSEL=Const(0, 6), i_ODSEL=Const(0, 6), i_PSDA=Const(0, 4), i_DUTYDA=Const(0, 4),
            i_FDLY=Const(0, 4), o_CLKOUT=clock_out, o_LOCK=locked, **second,
        )


def rpll_settings(input_mhz: float, output_mhz: float, *, device: str, vco: tuple[int, int]) -> RpllSettings:
    """Return the settings that come nearest to ``output_mhz``.

    Parameters
    ----------
    input_mhz : float
        3 to 400.
    output_mhz : float
        From the lower end of ``vco`` over 128 to half of its upper end. The result may differ by a few per cent.
    device : str
        What the cell's parameter ``DEVICE`` must say.
    vco : tuple of int
        Least and greatest MHz of the part's oscillator.

    Raises
    ------
    ValueError
        A frequency is out of range.
    """
    low, high = _PHASE_DETECTOR_RANGE
    if not low <= input_mhz <= high:
        raise ValueError(f"input clock must be between {low} and {high} MHz, not {input_mhz:g}")
    low, high = vco[0] / _OUTPUT_DIVIDERS[-1], vco[1] / _OUTPUT_DIVIDERS[0]
    if not low <= output_mhz <= high:
        raise ValueError(f"output clock must be between {low:g} and {high:g} MHz, not {output_mhz:g}")
    source, wanted = Fraction(input_mhz).limit_denominator(1000), Fraction(output_mhz).limit_denominator(1000)
    settings = [
        made for divider in _DIVIDERS if _PHASE_DETECTOR_RANGE[0] <= source / divider <= _PHASE_DETECTOR_RANGE[1]
        for feedback in _DIVIDERS for output in _OUTPUT_DIVIDERS
        if vco[0] <= (made := RpllSettings(device, source, divider, feedback, output)).vco_mhz <= vco[1]
    ]
    middle = sum(vco) / 2
    return min(settings, key=lambda s: (abs(s.output_mhz - wanted), s.input_divider, abs(s.vco_mhz - middle)))
