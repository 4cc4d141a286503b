"""When the words of an SDRAM are valid at the pins: margins of setup and hold, and the phase of its clock."""

from dataclasses import dataclass

__all__ = ["Margins", "PinTiming"]


@dataclass(frozen=True)
class Margins:
    """Time that is left, in ns; what is negative is violated.

    Attributes
    ----------
    read_setup, read_hold : float
        At the input registers of the data pins.
    write_setup, write_hold : float
        At the chip: of commands, addresses, and words that are written.
    """

    read_setup: float
    read_hold: float
    write_setup: float
    write_hold: float

    @property
    def least(self) -> float:
        """The smallest of them."""
        return min(self.read_setup, self.read_hold, self.write_setup, self.write_hold)


@dataclass(frozen=True, kw_only=True)
class PinTiming:
    """Delays of the FPGA's pins, of the board and of the chip, in ns.

    Those of the pins are the slowest of an ECP5 of speed grade 6 with LVCMOS33, from the timing data of Project
    Trellis (``ECP5/timing/speed_6/cells.json``): output register to pin ``OREG`` 1.200 + ``PIO`` 2.331, clock pin
    ``ODDRX1F`` 0.985 + 2.331, pin to input register ``PIO`` 1.065, setup and hold of ``IREG``. Its data has no fastest
    values; ``fastest`` is the share of a delay that is counted on where less would do harm. Those of the chip are
    those of a grade -7 (AS4C32M16SB-7).

    Parameters
    ----------
    data_out, clock_out : float
        From the clock edge to the pin: of data, and of the edge that is sent to the chip.
    data_in, setup, hold : float
        From the pin to the input register, and what that needs.
    board : float
        One way between FPGA and chip.
    t_ac, t_oh, t_is, t_ih : float
        The chip's access time, hold of its outputs, setup and hold of its inputs.
    uncertain : float
        Jitter, and skew between the two clocks and between pins.
    fastest : float
    """

    data_out: float = 3.531
    clock_out: float = 3.316
    data_in: float = 1.065
    setup: float = 0.439
    hold: float = 0.311
    board: float = 0.15
    t_ac: float = 5.4
    t_oh: float = 2.5
    t_is: float = 1.5
    t_ih: float = 0.8
    uncertain: float = 0.3
    fastest: float = 0.5

    def margins(self, clock_hz: float, phase: float, capture_cycles: int = 2) -> Margins:
        """Return the margins if the chip's clock comes ``phase`` degrees after the controller's.

        Of a word that the chip drives after the edge at ``phase`` of cycle 0, the first cycle edge that captures it is
        ``capture_cycles``; see :class:`~vitric.golden.spec.sdram.SdramSpec`.
        """
        period = 1e9 / clock_hz
        shift, capture = period * phase / 360, period * capture_cycles
        slow = shift + self.clock_out + 2 * self.board
        fast = shift + self.fastest * (self.clock_out + self.data_in) + 2 * self.board
        ahead = self.data_out - self.clock_out
        return Margins(
            read_setup=capture - (slow + self.t_ac + self.data_in + self.setup) - self.uncertain,
            read_hold=fast + period + self.t_oh - capture - self.hold - self.uncertain,
            write_setup=shift - ahead - self.t_is - self.uncertain,
            write_hold=period - shift + self.fastest * ahead - self.t_ih - self.uncertain,
        )

    def phase(self, clock_hz: float, *, steps: int, capture_cycles: int = 2) -> float:
        """Return the phase in degrees, of ``steps`` in a turn, at which the least margin is largest."""
        phases = [360 * k / steps for k in range(steps)]
        return max(phases, key=lambda phase: self.margins(clock_hz, phase, capture_cycles).least)
