"""The whole design behind the pins: serial line, host link, model store, memory, accelerator, LEDs."""

from collections.abc import Sequence

from amaranth.hdl import DomainRenamer, Module, Mux, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.check import check_int
from vitric.golden.spec.flash import FlashSpec
from vitric.golden.spec.sdram import BUS_BITS, SdramSpec
from vitric.hdl.accelerator import Accelerator
from vitric.hdl.memory import Sdram
from vitric.hdl.memory.block import BlockMemory, BlockSpec
from vitric.hdl.memory.flash import FLASH_PINS, FlashReader
from vitric.hdl.memory.layouts import pins_layout
from vitric.hdl.memory.reader import LineReader
from vitric.hdl.memory.share import Share
from vitric.hdl.streams import connect

from .controller import Controller
from .flash_loader import FlashLoader
from .frame import FrameReceiver, FrameTransmitter
from .image_reader import ImageReader
from .inference import Inference
from .link import GAP_BITS
from .model_store import WORDS_MAX, ModelStore
from .runner import Runner
from .uart import DIVISOR_MIN, UartReceiver, UartTransmitter

__all__ = ["MAX_PAYLOAD", "System"]

MAX_PAYLOAD = 2048
"""Longest payload of a request, in bytes, unless chosen otherwise: one block of RAM."""

_IMAGE_LINES, _MODEL_LINES, _HOST_LINES = 16, 32, 8
"""Lines that wait for their readers: the image, the model, the host."""


class System(wiring.Component):
    """An accelerator with its model in block RAM or in an SDRAM, a serial line to a host, and eight LEDs.

    The host sends images and models as :mod:`vitric.boards.link` describes. The model of ``init`` is in use after
    configuration; one that is loaded over the link takes its place until the next configuration. With an SDRAM there is
    no model until one is loaded, from a flash after configuration (:class:`~vitric.boards.flash_loader.FlashLoader`) or
    over the link; if the memory did not pass its test, none can be.

    A break on the line resets all but the memory and the model in use: the request that is being carried out is not
    answered, a load must be begun again, and the line has the speed that it had after configuration.

    LEDs 0 to 5 show the class of the last inference (its low six bits), LED 6 that a request is being carried out,
    LED 7 that the last answer was an error.

    Parameters
    ----------
    spec : AcceleratorSpec
    init : sequence of int
        Words of the model in use after configuration; empty for none.
    capacity : int
        Longest model, in words: two banks of it are held.
    divisor : int
        Clock cycles per bit on the serial line, after configuration; the host can ask for fewer.
    clock_hz : int
        Cycles per second, for the host.
    max_payload : int
        Longest payload of a request, 32 to 65535 bytes; an image must fit.
    gap : int, optional
        Cycles of silence that end a frame; default: :data:`~vitric.boards.link.GAP_BITS` times ``divisor``.
    fabric : {None, "generic", "ecp5", "ice40", "gowin"}
        What primitives are built from: None for simulation, else those of the part.
    sdram : SdramSpec, optional
        Memory for models, with lines as wide as model words; its controller has the clock of the domain ``sdram``.
        Default: block RAM.
    flash : FlashSpec, optional
        Where a model for the SDRAM may lie.
    core_domain : str
        Domain of the accelerator. Its clock must be that of ``sync``, but it may be without a reset, which would be a
        net across the whole part: while ``sync`` is reset, and for a cycle more, the accelerator is told to restart.

    Members
    -------
    rx : 1, in
        Serial line from the host, asynchronous.
    tx : 1, out
        Serial line to the host.
    leds : 8, out
    pins : pins_layout(sdram), out
    dq : 16, in
        Of the SDRAM, if there is one, as :class:`~vitric.hdl.memory.sdram.Sdram` has them.
    flash_pins : FLASH_PINS, out
    flash_dq : 4, in
        Of the flash, if there is one, as :class:`~vitric.hdl.memory.flash.FlashReader` has them.

    Raises
    ------
    TypeError, ValueError
        A parameter is out of range; there is a model to begin with, but an SDRAM to hold it; a memory that cannot
        hold two models; or a flash without an SDRAM.
    """

    def __init__(self, spec: AcceleratorSpec, *, init: Sequence[int], capacity: int, divisor: int, clock_hz: int,
                 max_payload: int = MAX_PAYLOAD, gap: int | None = None, fabric: str | None = None,
                 sdram: SdramSpec | None = None, flash: FlashSpec | None = None, core_domain: str = "sync"):
        check_int("capacity", capacity, max(1, len(init)), WORDS_MAX)
        check_int("divisor", divisor, DIVISOR_MIN, 1 << 20)
        self.spec = spec
        self.init = tuple(init)
        self.capacity = capacity
        self.divisor = divisor
        self.clock_hz = clock_hz
        self.max_payload = max_payload
        self.gap = GAP_BITS * divisor if gap is None else gap
        self.fabric = fabric
        self.sdram, self.flash = sdram, flash
        self.core_domain = core_domain
        if flash is not None and sdram is None:
            raise ValueError("a flash must have an SDRAM beside it, to which its model is copied")
        if sdram is not None and init:
            raise ValueError("init must be empty with an SDRAM, which holds nothing after configuration")
        self._space = sdram or BlockSpec(line_bits=spec.model_bits, lines=2 * capacity)
        self._store = ModelStore(spec, self._space, capacity=capacity, init=self.init)
        if sdram is not None and capacity > sdram.lines // 4:
            raise ValueError(f"capacity must be at most {sdram.lines // 4}, a quarter of the SDRAM's lines, not "
                             f"{capacity}")
        members = {"rx": In(1, init=1), "tx": Out(1, init=1), "leds": Out(8)}
        if sdram is not None:
            members |= {"pins": Out(pins_layout(sdram)), "dq": In(BUS_BITS)}
        if flash is not None:
            members |= {"flash_pins": Out(FLASH_PINS), "flash_dq": In(4)}
        super().__init__(members)

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        m.submodules.receiver = receiver = UartReceiver(divisor=self.divisor)
        m.submodules.transmitter = transmitter = UartTransmitter(divisor=self.divisor)
        frames = FrameReceiver(max_payload=self.max_payload, gap=self.gap)
        answers = FrameTransmitter()
        store = self._store
        controller = Controller(
            self.spec, capacity=self.capacity, max_payload=self.max_payload, clock_hz=self.clock_hz,
            divisor=self.divisor, image_words=0 if self.sdram is None else self.sdram.lines // 2)
        inference = Inference(self.spec)
        accelerator = Accelerator(self.spec, fabric=self.fabric)
        broken = Signal(init=1)
        m.d.sync += broken.eq(receiver.held)
        for name, part in {"frames": frames, "answers": answers, "store": store, "controller": controller,
                           "inference": inference}.items():
            m.submodules[name] = ResetInserter(broken)(part)
        m.submodules.accelerator = DomainRenamer(self.core_domain)(accelerator)
        m.d.comb += accelerator.restart.eq(broken)

        m.d.comb += [receiver.rx.eq(self.rx), self.tx.eq(transmitter.tx)]
        connect(m, receiver.o, frames.i)
        connect(m, frames.frame, controller.frame)
        connect(m, frames.o, controller.i)
        connect(m, controller.sent, answers.frame)
        connect(m, controller.o, answers.i)
        connect(m, answers.o, transmitter.i)
        m.d.comb += [
            receiver.divisor.eq(controller.line_divisor), transmitter.divisor.eq(controller.line_divisor),
            controller.line_idle.eq(answers.frame.ready & transmitter.idle),
        ]

        if self.flash is None:
            self._fill(m, store, controller)
        connect(m, store.o, accelerator.model)
        connect(m, inference.columns, accelerator.i)
        connect(m, accelerator.o, inference.logits)
        connect(m, accelerator.status, inference.status)
        m.d.comb += [
            controller.about.model_words.eq(store.words), controller.about.model_crc.eq(store.crc),
            store.start.eq(controller.start), inference.start.eq(controller.start),
        ]
        if self.sdram is None:
            m.submodules.memory = memory = BlockMemory(self._space, init=self.init)
            reader = self._add_reader(m, "model", memory.read, memory.o, broken)
            connect(m, store.read, reader.i)
            connect(m, reader.o, store.line)
            connect(m, store.put, memory.write)
            connect(m, controller.image, inference.i)
            connect(m, inference.outcome, controller.outcome)
            connect(m, inference.o, controller.logits)
        else:
            self._add_sdram(m, broken, store, controller, inference)

        leds = Signal(8)
        m.d.sync += leds.eq(inference.label[:6] | controller.busy << 6 | controller.failed << 7)
        m.d.comb += self.leds.eq(leds)
        return m

    def _add_reader(self, m, name, read, line, broken) -> LineReader:
        """Add a reader of the memory whose user is reset by a break; ``read`` and ``line`` are the memory's."""
        m.submodules[f"read_{name}"] = reader = LineReader(self._space)
        m.d.comb += reader.drop.eq(broken)
        connect(m, reader.read, read)
        connect(m, line, reader.line)
        return reader

    def _add_sdram(self, m, broken, store, controller, inference):
        """Add the memory for models and images, and runs over images, which have the inference while they last."""
        spec, sdram = self.spec, self.sdram
        m.submodules.memory = memory = Sdram(sdram)
        if self.flash is not None:
            self._add_flash(m, broken, store, controller, memory)
        m.submodules.share = share = Share(sdram, depths=(_IMAGE_LINES, _MODEL_LINES, _HOST_LINES), writers=3)
        m.d.comb += [self.pins.eq(memory.pins), memory.dq.eq(self.dq), controller.about.memory_failed.eq(memory.failed)]
        connect(m, share.read, memory.read)
        connect(m, share.write, memory.write)
        connect(m, memory.o, share.line)

        m.submodules.image = image = ResetInserter(broken)(ImageReader(spec, sdram))
        m.submodules.runner = runner = ResetInserter(broken)(Runner(spec, sdram))
        readers = [self._add_reader(m, name, read, line, broken) for name, read, line in zip(
            ("image", "model", "host"), share.reads, share.lines, strict=True)]
        for reader, user in zip(readers, (image, store), strict=False):
            connect(m, user.read, reader.i)
            connect(m, reader.o, user.line)
        host = readers[2]
        connect(m, store.put, share.writes[0])
        connect(m, runner.put, share.writes[1])
        connect(m, runner.image, image.i)
        connect(m, controller.run, runner.run)
        upper = sdram.lines // 2  # the image memory
        words, read, put = controller.word, controller.read, share.writes[2]
        m.d.comb += [
            put.p.address.eq(controller.put.p.address | upper), put.p.data.eq(controller.put.p.data),
            put.valid.eq(controller.put.valid), controller.put.ready.eq(put.ready),
            host.i.p.address.eq(read.p.offset | upper), host.i.p.lines.eq(read.p.words),
            host.i.valid.eq(read.valid), read.ready.eq(host.i.ready),
            words.payload.eq(host.o.p.data), words.valid.eq(host.o.valid), host.o.ready.eq(words.ready),
            controller.run_status.eq(runner.status), runner.store_idle.eq(store.idle),
            store.start.eq(controller.start | runner.start), inference.start.eq(controller.start | runner.start),
        ]
        running = runner.status.running
        with m.If(running):
            connect(m, image.o, inference.i)
        with m.Else():
            connect(m, controller.image, inference.i)
        for source, of_run, of_host in ((inference.outcome, runner.outcome, controller.outcome),
                                        (inference.o, runner.logits, controller.logits)):
            m.d.comb += [
                of_run.payload.eq(source.payload), of_host.payload.eq(source.payload),
                of_run.valid.eq(source.valid & running), of_host.valid.eq(source.valid & ~running),
                source.ready.eq(Mux(running, of_run.ready, of_host.ready)),
            ]

    def _fill(self, m, store, source):
        """Let ``source``, the controller or the loader, put models into the store."""
        connect(m, source.write, store.write)
        connect(m, source.commit, store.commit)
        connect(m, store.result, source.result)

    def _add_flash(self, m, broken, store, controller, memory):
        """Add the flash and its loader, which has the store until it ends."""
        m.submodules.flash = flash = ResetInserter(broken)(FlashReader(self.flash))
        m.submodules.loader = loader = ResetInserter(broken)(
            FlashLoader(self.spec, self.flash, capacity=self.capacity))
        connect(m, loader.read, flash.i)
        connect(m, flash.o, loader.byte)
        m.d.comb += [
            self.flash_pins.eq(flash.pins), flash.dq.eq(self.flash_dq), loader.start.eq(memory.ready),
            loader.failed.eq(memory.failed), controller.about.flash_state.eq(loader.state),
            controller.about.flash_slot.eq(loader.slot), controller.about.flash_written.eq(loader.written),
        ]
        with m.If(loader.busy):
            self._fill(m, store, loader)
        with m.Else():
            self._fill(m, store, controller)
