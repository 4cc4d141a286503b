"""Parameters of an SDRAM and of the controller for it: geometry, times of the data sheet, and cycles that follow."""

from dataclasses import dataclass

from .check import check_choice, check_int
from .word_rate import WordRate

__all__ = ["BANK_BITS", "BUS_BITS", "SdramSpec"]

BANK_BITS = 2
"""Every SDRAM of a single data rate has four banks."""

BUS_BITS = 16
"""Width of the data bus."""

_OPENING = 5  # cycles of the row sequencer's own in opening a row, and as many in closing all, at most


@dataclass(frozen=True, kw_only=True)
class SdramSpec:
    """One SDRAM with a bus of 16 bits, the clock that it runs at, and how long its bursts are.

    The unit of every transfer is a *line*: the bus words of one burst, ``16 * burst`` bits, at an address that counts
    lines. An address is, from its lowest bit, column (without those inside a burst), bank, row: what follows a row is
    a row of the next bank.

    Times are in nanoseconds, with the names of data sheets. The defaults are the slowest of the parts that are found
    on a ULX3S (IS42S16160G-7, AS4C32M16SB-7, W9825G6KH-6, MT48LC16M16A2-6A); ``column_bits=10`` is its 64 MB version.

    Parameters
    ----------
    clock_hz : int
        Clock of chip and controller, 10 to 200 MHz.
    burst : int
        Bus words of a burst: 2, 4 or 8.
    row_bits, column_bits : int
        Address bits of a row, 1 to 13, and of a column (bus words), 4 to 10.
    cas_latency : int
        2 or 3 cycles.
    capture_cycles : int
        Cycles from the controller's output to the chip and from the chip to the controller's input, together, 0 to 7:
        2 with one register at the pins in each direction, see ``docs/sdram.md`` for the phase that goes with it.
    write_batch : int
        Lines that are written at most, per refresh, while a read is under way, 1 to 64.
    init_refreshes : int
        Refreshes after power-up, 2 to 8.
    t_power_up, t_rcd, t_rp, t_ras, t_ras_max, t_rc, t_rrd, t_wr, t_rfc, t_mrd, t_refi : float
        Times of the data sheet in ns; ``t_refi`` is the time of all refreshes (64 ms) over their number.

    Raises
    ------
    TypeError, ValueError
        A parameter is outside what is listed above, or refreshes would leave no time for anything else.
    """

    clock_hz: int
    burst: int = 4
    row_bits: int = 13
    column_bits: int = 9
    cas_latency: int = 3
    capture_cycles: int = 2
    write_batch: int = 16
    init_refreshes: int = 8
    t_power_up: float = 200_000
    t_rcd: float = 21
    t_rp: float = 21
    t_ras: float = 42
    t_ras_max: float = 100_000
    t_rc: float = 63
    t_rrd: float = 15
    t_wr: float = 15
    t_rfc: float = 70
    t_mrd: float = 15
    t_refi: float = 7812.5

    def __post_init__(self):
        check_int("clock_hz", self.clock_hz, 10_000_000, 200_000_000)
        check_choice("burst", self.burst, (2, 4, 8))
        check_int("row_bits", self.row_bits, 1, 13)
        check_int("column_bits", self.column_bits, 4, 10)
        check_choice("cas_latency", self.cas_latency, (2, 3))
        check_int("capture_cycles", self.capture_cycles, 0, 7)
        check_int("write_batch", self.write_batch, 1, 64)
        check_int("init_refreshes", self.init_refreshes, 2, 8)
        for name in ("t_power_up", "t_rcd", "t_rp", "t_ras", "t_ras_max", "t_rc", "t_rrd", "t_wr", "t_rfc", "t_mrd"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)!r}")
        if self.refresh_period <= self.refresh_slack:
            raise ValueError(f"t_refi must be longer than what a refresh takes, not {self.t_refi!r}")

    def cycles(self, nanoseconds: float) -> int:
        """Return the fewest clock cycles that are no shorter than a time; exact to a picosecond."""
        return -(-round(nanoseconds * 1000) * self.clock_hz // 10**12)

    @property
    def line_bits(self) -> int:
        """Width of a line."""
        return BUS_BITS * self.burst

    @property
    def row_lines(self) -> int:
        """Lines of one row."""
        return (1 << self.column_bits) // self.burst

    @property
    def line_column_bits(self) -> int:
        """Address bits of a line in its row."""
        return self.row_lines.bit_length() - 1

    @property
    def page_bits(self) -> int:
        """Address bits of bank (the lower ones) and row."""
        return BANK_BITS + self.row_bits

    @property
    def address_bits(self) -> int:
        """Address bits of a line."""
        return self.page_bits + self.line_column_bits

    @property
    def lines(self) -> int:
        """Lines of the whole chip."""
        return 1 << self.address_bits

    @property
    def pin_bits(self) -> int:
        """Address pins: rows, and ``A10`` of PRECHARGE."""
        return max(self.row_bits, 11)

    @property
    def mode(self) -> int:
        """Mode register: length of bursts, sequential, CAS latency, writes as long as reads."""
        return self.cas_latency << 4 | self.burst.bit_length() - 1

    @property
    def power_up(self) -> int:
        """Cycles without a command after configuration."""
        return self.cycles(self.t_power_up)

    @property
    def rcd(self) -> int:
        """Cycles from ACTIVATE to READ or WRITE."""
        return self.cycles(self.t_rcd)

    @property
    def rp(self) -> int:
        """Cycles from PRECHARGE to ACTIVATE, REFRESH or MODE."""
        return self.cycles(self.t_rp)

    @property
    def active(self) -> int:
        """Cycles from ACTIVATE to any PRECHARGE, so that with ``rp`` the next ACTIVATE keeps ``t_rc`` and ``t_rrd``."""
        return max(self.cycles(self.t_ras), self.cycles(max(self.t_rc, self.t_rrd)) - self.rp)

    @property
    def rfc(self) -> int:
        """Cycles from REFRESH to the next command."""
        return self.cycles(self.t_rfc)

    @property
    def mrd(self) -> int:
        """Cycles from MODE to the next command."""
        return max(2, self.cycles(self.t_mrd))

    @property
    def write_recovery(self) -> int:
        """Cycles from WRITE to PRECHARGE: the burst, and ``t_wr`` after its last word."""
        return self.burst - 1 + self.cycles(self.t_wr)

    @property
    def turnaround(self) -> int:
        """Cycles from READ to WRITE: the burst has left the bus, and the chip has a cycle to release it."""
        return self.cas_latency + self.burst + 1

    @property
    def read_latency(self) -> int:
        """Cycles from READ at the controller's output to the first word at its input."""
        return self.cas_latency + self.capture_cycles

    @property
    def refresh_slack(self) -> int:
        """Cycles from the time that a refresh is due to the command, at most: a row is being opened, then all close."""
        closing = max(self.active, self.write_recovery) + _OPENING + self.rp
        return 2 * closing + self.rcd

    @property
    def refresh_period(self) -> int:
        """Cycles from one refresh that is due to the next, so that ``t_refi`` lies between no two commands more."""
        return round(self.t_refi * 1000) * self.clock_hz // 10**12 - self.refresh_slack

    def word_rate(self, clock_hz: int) -> WordRate:
        """Return how fast the lines of a long read come for a core with this clock.

        The bus is busy but for refreshes: a page is closed, REFRESH, opened again. Opening a page that follows is
        hidden behind the one before.
        """
        lost = (self.rp + self.rfc + self.rcd) / self.refresh_period
        return WordRate(max(1.0, self.burst / (1 - lost) * clock_hz / self.clock_hz), self.queue_lines)

    @property
    def lines_in_flight(self) -> int:
        """Lines that a queue's level does not show yet, at most: asked for, on their way, just written."""
        return -(-(self.read_latency + self.burst + 6) // self.burst) + 1

    @property
    def queue_lines(self) -> int:
        """Lines of the queue between the clocks: a power of two, twice what its level does not show at least."""
        return 1 << (2 * self.lines_in_flight - 1).bit_length()
