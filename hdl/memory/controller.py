"""The SDRAM controller: reads as long streams, writes line by line, refreshes in time."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.sdram import BUS_BITS, SdramSpec

from ..streams import StreamBuffer, connect
from .layouts import Command, line_layout, page_layout, pins_layout, request_layout, segment_layout
from .rows import RowSequencer
from .splitter import Splitter

__all__ = ["SdramController"]


class _Page:
    """A page that is used, or will be: where it is, and whether it is open."""

    def __init__(self, m: Module, shape, name: str):
        self.valid = Signal(name=f"{name}_valid")
        self.item = Signal(shape, name=name, reset_less=True)
        self.open = Signal(name=f"{name}_open")
        self.stays = Signal(name=f"{name}_stays")  # open after this cycle
        self.m = m

    def follow(self, rows: RowSequencer) -> None:
        """Let the flag say what the sequencer does to the bank."""
        closed = rows.closes_all | (rows.closes & (self.item.page.bank == rows.target.bank))
        opened = rows.opened & (self.item.page.as_value() == rows.target.as_value())
        self.m.d.comb += self.stays.eq((self.open & ~closed) | opened)
        self.m.d.sync += self.open.eq(self.stays)

    @property
    def wants(self):
        """Whether it has to be opened."""
        return self.valid & ~self.open


class SdramController(wiring.Component):
    """Serve requests from an SDRAM: reads of any number of lines, and writes of one.

    A read comes out line by line, ``last`` with its final one. While one page is read, the page that follows,
    be it of the same read or of the next one, is opened behind the bursts; so reads that follow each other flow
    without a gap, except for refreshes.

    *Order*: a read sees every write that was accepted before it. A write that was accepted after a read may come
    before the rest of that read. Reads are served one after another, writes too; a read that waits for the one before
    it keeps later requests waiting.

    *Priority*: a refresh comes first when it is due. Writes come when no read is under way, and otherwise between a
    refresh and the first line that is read after it, until there is none or ``write_batch`` of them have been done: so
    a read is held up only where it is interrupted anyway, and a write waits for ``t_refi`` at most.

    *Handshake*: ``request`` obeys rules 1 to 4 of :mod:`vitric.hdl.streams`. A line that arrives must be taken, because
    the chip cannot be stalled: take ``room`` away while ``lines_in_flight`` lines can still be taken, and no more than
    these will come.

    *Latency*: ``max(rcd, 3) + read_latency + burst + 9`` cycles from the request of a read to its first line, while the
    bank is closed and no refresh is due. *Interval*: ``burst`` cycles per line.

    Parameters
    ----------
    spec : SdramSpec

    Members
    -------
    request : stream of request_layout(spec), in
    line : line_layout(spec), out
    arrives : 1, out
        ``line`` is one, in this cycle only.
    room : 1, in
    ready : 1, out
        The chip has been brought up; requests that come before wait.
    pins : pins_layout(spec), out
        Registered.
    dq : 16, in
        What the chip drives, ``spec.read_latency`` cycles after READ.
    """

    def __init__(self, spec: SdramSpec):
        self.spec = spec
        super().__init__({
            "request": In(stream.Signature(request_layout(spec))),
            "line": Out(line_layout(spec)), "arrives": Out(1), "room": In(1),
            "ready": Out(1), "pins": Out(pins_layout(spec)), "dq": In(BUS_BITS),
        })

    @property
    def latency(self) -> int:
        """Cycles from the request of a read to its first line."""
        return max(self.spec.rcd, 3) + self.spec.read_latency + self.spec.burst + 9

    @property
    def interval(self) -> int:
        """Cycles per line of a stream."""
        return self.spec.burst

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec = self.spec
        m.submodules.rows = rows = RowSequencer(spec)
        m.submodules.splitter = splitter = Splitter(spec)
        m.submodules.segments = segments = StreamBuffer(segment_layout(spec))
        connect(m, splitter.o, segments.i)
        here, ahead = (_Page(m, segment_layout(spec), name) for name in ("here", "ahead"))
        write_shape = data.StructLayout({"column": spec.line_column_bits, "page": page_layout(spec)})
        there = _Page(m, write_shape, "there")
        line = Signal(spec.line_bits, reset_less=True)  # to be written at `there`
        for page in (here, ahead, there):
            page.follow(rows)

        # The turn: writes if no read is under way, or until the first read after a refresh.
        batch = Signal(range(spec.write_batch + 1))
        writes = Signal()
        m.d.comb += writes.eq(there.valid & ((batch != 0) | ~here.valid))
        m.d.comb += [
            rows.want.eq(Mux(writes, there.wants, here.wants | (
                here.valid & ahead.wants & (ahead.item.page.bank != here.item.page.bank)))),
            rows.wanted.as_value().eq(Mux(writes, there.item.page, Mux(here.open, ahead.item.page, here.item.page))),
        ]

        # Column commands. What decides is registered, so it lags by a cycle; after a command there are at least two.
        rest = Signal(range(spec.burst))                 # cycles until the burst is over
        bus_busy = Signal(range(spec.turnaround))        # cycles until the bus may be driven
        may_read, may_write, reads, written = (Signal(name=name) for name in ("may_read", "may_write", "reads", "puts"))
        m.d.sync += [
            may_read.eq(here.valid & here.open & ~writes & self.room),
            may_write.eq(there.open & writes & (bus_busy <= 1)),
        ]
        m.d.comb += [
            rows.rested.eq(rest == 0), reads.eq(may_read & rows.rested), written.eq(may_write & rows.rested),
            rows.column.eq(reads | written), rows.write.eq(written),
        ]
        with m.If(~rows.rested):
            m.d.sync += rest.eq(rest - 1)
        with m.If(bus_busy != 0):
            m.d.sync += bus_busy.eq(bus_busy - 1)
        with m.If(rows.column):
            m.d.sync += [
                rest.eq(spec.burst - 1),
                rows.column_bank.eq(Mux(written, there.item.page.bank, here.item.page.bank)),
            ]
        with m.If(rows.refreshed):
            m.d.sync += batch.eq(spec.write_batch)
        with m.If(reads):
            m.d.sync += [bus_busy.eq(spec.turnaround - 1), batch.eq(0)]
        with m.Elif(written):
            m.d.sync += batch.eq(batch - (batch != 0))

        self._take_requests(m, splitter, there, line, written)
        final = Signal()  # `here` is at the last line of its page
        self._move_on(m, segments.o, here, ahead, reads, final)
        self._drive(m, rows, here, there, line, reads, written)
        self._gather(m, reads, here.item.last & final)
        m.d.comb += self.ready.eq(rows.ready)
        return m

    def _take_requests(self, m, splitter, there, line, written):
        """Take a write when the one before it is done, and a read when no write waits and the one before it is cut."""
        request, item = self.request, self.request.p
        takes_write = Signal()
        free = ~there.valid | written
        m.d.comb += [
            takes_write.eq(request.valid & item.write & free),
            splitter.i.valid.eq(request.valid & ~item.write & ~there.valid),
            splitter.i.p.address.eq(item.address), splitter.i.p.lines.eq(item.data),
            request.ready.eq(Mux(item.write, free, ~there.valid & splitter.i.ready)),
        ]
        page = item.address[self.spec.line_column_bits:]
        with m.If(free):
            m.d.sync += there.valid.eq(takes_write)
        with m.If(takes_write):
            m.d.sync += [
                there.item.as_value().eq(item.address), line.eq(item.data),
                there.open.eq(there.stays & (there.item.page.as_value() == page)),
            ]

    @staticmethod
    def _move_on(m, segments, here, ahead, reads, final):
        """Count the lines of the page that is read; after its last one, go on to the page ahead."""
        moves, takes = Signal(), Signal()
        m.d.comb += [
            moves.eq((reads & final) | ~here.valid), takes.eq(moves | ~ahead.valid), segments.ready.eq(takes),
        ]
        with m.If(reads):
            m.d.sync += [
                here.item.column.eq(here.item.column + 1), here.item.count.eq(here.item.count - 1),
                final.eq(here.item.count == 2),
            ]
        with m.If(moves):
            same = ahead.item.page.as_value() == here.item.page.as_value()
            m.d.sync += [
                here.valid.eq(ahead.valid), here.item.eq(ahead.item), final.eq(ahead.item.count == 1),
                here.open.eq(ahead.stays | (here.stays & same)),
            ]
        with m.If(takes):
            m.d.sync += [ahead.valid.eq(segments.valid), ahead.item.eq(segments.payload), ahead.open.eq(0)]

    def _drive(self, m, rows, here, there, line, reads, written):
        """Set the registers of the pins."""
        spec, pins = self.spec, self.pins
        rest_of_line = Signal(spec.line_bits - BUS_BITS, reset_less=True)
        driven = Signal(spec.burst - 1)  # one bit for each word that is left
        column = Mux(written, there.item.column, here.item.column)
        m.d.sync += [
            pins.command.eq(Mux(reads, Command.READ, Mux(written, Command.WRITE, Mux(
                rows.valid, rows.command, Command.NOP)))),
            pins.bank.eq(Mux(written, there.item.page.bank, Mux(reads, here.item.page.bank, rows.bank))),
            pins.address.eq(Mux(rows.column, column << spec.burst.bit_length() - 1, rows.address)),
            pins.mask.eq(~rows.ready),
            pins.drive.eq(written | driven[0]),
            pins.dq.eq(Mux(written, line[:BUS_BITS], rest_of_line[:BUS_BITS])),
            rest_of_line.eq(Mux(written, line[BUS_BITS:], rest_of_line >> BUS_BITS)),
            driven.eq(Mux(written, ~0, driven >> 1)),
        ]

    def _gather(self, m, reads, ends):
        """Collect the words of a line as they come from the chip."""
        steps = self.spec.read_latency + self.spec.burst
        coming, last = Signal(steps + 1), Signal(steps + 1)
        words = Signal(self.spec.line_bits, reset_less=True)
        m.d.sync += [
            coming.eq(Cat(reads, coming)), last.eq(Cat(ends, last)),
            words.eq(Cat(words[BUS_BITS:], self.dq)),
        ]
        m.d.comb += [self.arrives.eq(coming[-1]), self.line.data.eq(words), self.line.last.eq(last[-1])]
