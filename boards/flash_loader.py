"""Finds the newest sound model in a board's flash and puts it into the model store."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import crc, data, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.check import check_int
from vitric.golden.spec.flash import FlashSpec
from vitric.hdl.memory.flash import FLASH_BYTE, FLASH_READ
from vitric.hdl.stream_width import Widen

from .flash_image import DATA_OFFSET, HEADER_LAYOUT, MAGIC, FlashState
from .link import layout_bytes
from .model_store import COMMIT, WORDS_MAX

__all__ = ["FlashLoader"]

_HEADER_BYTES = layout_bytes(HEADER_LAYOUT)


class FlashLoader(wiring.Component):
    """When ``start`` is 1 look at the slots of a flash (:mod:`vitric.boards.flash_image`); load the newest model.

    A model is usable if its header is whole, its spec is the accelerator's, and it fits into its slot and the store.
    The newest is written to the store, which checks the CRC of what its memory then holds; if that is wrong the next
    older one is tried. If none is good on four lanes all is done once more on one: not every flash has been told to use
    four. It is done once after configuration; a reset before the end lets it begin anew.

    *Handshake*: rules 1 to 4 of :mod:`vitric.hdl.streams`. It has the flash, and while ``busy`` the store.

    *Latency*: what the flash needs for the headers and the model, and the store for its check.

    Parameters
    ----------
    spec : AcceleratorSpec
    flash : FlashSpec
    capacity : int
        Longest model, in model words.

    Members
    -------
    start : 1, in
        The memory of the store is ready.
    failed : 1, in
        It is not in order: nothing is done.
    read : stream of FLASH_READ, out
    byte : stream of FLASH_BYTE, in
        To and from the flash.
    write, commit, result : streams to and from the model store
    busy : 1, out
        From the reset on, until the end.
    state : FlashState, out
    slot : 8, out
    written : 32, out
        Where the model lay that was loaded, and its header's field; 0 if there was none.
    """

    def __init__(self, spec: AcceleratorSpec, flash: FlashSpec, *, capacity: int):
        check_int("capacity", capacity, 1, WORDS_MAX)
        self.spec, self.flash, self.capacity = spec, flash, capacity
        super().__init__({
            "start": In(1), "failed": In(1),
            "read": Out(stream.Signature(FLASH_READ)), "byte": In(stream.Signature(FLASH_BYTE)),
            "write": Out(stream.Signature(data.StructLayout({"address": 32, "data": spec.model_bits}))),
            "commit": Out(stream.Signature(COMMIT)), "result": In(stream.Signature(1)),
            "busy": Out(1), "state": Out(FlashState), "slot": Out(8), "written": Out(32),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        flash, word = self.flash, self.spec.model_bits // 8
        m.submodules.check = check = crc.catalog.CRC32_ISCSI(data_width=8).create()
        m.submodules.widen = widen = Widen(8, ratio=word)
        state, found, found_in = Signal(FlashState, init=FlashState.LOOKING, reset_less=True), Signal(32), Signal(8)
        chosen, slot = Signal(32, reset_less=True), Signal(8, reset_less=True)  # of what was loaded
        m.d.comb += [
            self.state.eq(state), self.busy.eq(state == FlashState.LOOKING), self.written.eq(chosen),
            self.slot.eq(slot),
        ]
        header = Signal(data.StructLayout({name: 8 * size for name, size in HEADER_LAYOUT}))
        place, single = Signal(range(len(flash.slots))), Signal(init=int(flash.lanes == 1))
        last = place == len(flash.slots) - 1
        there, picked, copying = Signal(), Signal(), Signal()  # a model was found; its header, its words are read
        bounded, bound = Signal(), Signal(32)  # only older ones are looked for
        worst = Signal(FlashState, init=FlashState.EMPTY)
        whole, usable, older, address = Signal(), Signal(), Signal(), Signal(32)
        room = min(self.capacity, (flash.slot_bytes - DATA_OFFSET) // word)
        m.d.comb += [
            whole.eq((header.magic == MAGIC) & check.match_detected),
            usable.eq(whole & (header.spec_hash == self.spec.hash) & (header.words != 0) & (header.words <= room)),
            older.eq(~bounded | (header.written < bound)),
            check.data.eq(self.byte.p.data), widen.i.payload.eq(self.byte.p.data),
            self.read.p.address.eq(Array(flash.slots)[place] + Mux(copying, DATA_OFFSET, 0)),
            self.read.p.bytes.eq(Mux(copying, header.words << (word.bit_length() - 1), _HEADER_BYTES)),
            self.read.p.single.eq(single),
            self.write.p.address.eq(address), self.write.p.data.eq(widen.o.payload.as_value()),
            self.commit.p.words.eq(header.words), self.commit.p.crc.eq(header.crc),
        ]

        def look(of_picked=0):
            """Read the headers of all slots, or once more that of the one which is picked."""
            m.d.sync += picked.eq(of_picked)
            m.next = "ASK"

        def give_up():
            """Nothing more is usable: try on one lane, or end."""
            with m.If(single):
                end(worst)
            with m.Else():
                m.d.sync += [single.eq(1), bounded.eq(0)]
                look()

        def end(how):
            m.d.sync += state.eq(how)
            m.next = "DONE"

        with m.FSM():
            with m.State("START"):
                with m.If(state != FlashState.LOOKING):
                    m.next = "DONE"
                with m.Elif(self.start):
                    look()
                    with m.If(self.failed):
                        end(FlashState.NONE)
            with m.State("ASK"):
                m.d.comb += [self.read.valid.eq(1), check.start.eq(1)]
                with m.If(self.read.ready):
                    m.next = "HEADER"
            with m.State("HEADER"):
                m.d.comb += [self.byte.ready.eq(1), check.valid.eq(self.byte.valid)]
                with m.If(self.byte.valid):
                    m.d.sync += header.eq(Cat(header.as_value()[8:], self.byte.p.data))
                    with m.If(self.byte.p.last):
                        m.next = "SETTLE"
            with m.State("SETTLE"):  # the CRC is a cycle behind
                m.next = "JUDGE"
            with m.State("JUDGE"):
                with m.If(whole & ~usable & (worst == FlashState.EMPTY)):
                    m.d.sync += worst.eq(FlashState.FOREIGN)
                with m.If(picked):
                    m.d.sync += [bounded.eq(1), bound.eq(found), there.eq(0), address.eq(0)]
                    m.next = "REFUSED"
                    with m.If(usable):
                        m.d.sync += copying.eq(1)
                        m.next = "ASK DATA"
                with m.Else():
                    with m.If(usable & older & (~there | (header.written > found))):
                        m.d.sync += [there.eq(1), found.eq(header.written), found_in.eq(place)]
                    m.d.sync += place.eq(place + 1)
                    m.next = "ASK"
                    with m.If(last):
                        m.next = "CHOOSE"
            with m.State("CHOOSE"):
                m.d.sync += place.eq(Mux(there, found_in, 0))
                with m.If(there):
                    look(of_picked=1)
                with m.Else():
                    give_up()
            with m.State("ASK DATA"):
                m.d.comb += self.read.valid.eq(1)
                with m.If(self.read.ready):
                    m.next = "WORDS"
            with m.State("WORDS"):
                m.d.comb += [
                    widen.i.valid.eq(self.byte.valid), self.byte.ready.eq(widen.i.ready),
                    self.write.valid.eq(widen.o.valid), widen.o.ready.eq(self.write.ready),
                ]
                with m.If(self.write.valid & self.write.ready):
                    m.d.sync += address.eq(address + 1)
                with m.If(address == header.words):
                    m.next = "COMMIT"
            with m.State("COMMIT"):
                m.d.comb += [self.commit.valid.eq(1), self.result.ready.eq(1)]
                m.d.sync += copying.eq(0)
                with m.If(self.result.valid):
                    m.next = "REFUSED"
                    with m.If(self.result.payload):
                        m.d.sync += [chosen.eq(found), slot.eq(found_in)]
                        end(FlashState.LOADED)
            with m.State("REFUSED"):
                m.d.sync += [worst.eq(FlashState.DAMAGED), place.eq(0)]
                look()
            with m.State("DONE"):
                pass
        return m
