"""The accelerator as a LiteX module: registers on the bus of the SoC, models and images by DMA from LiteDRAM."""

import json
from pathlib import Path

from litedram.frontend.dma import LiteDRAMDMAReader
from litex.gen import LiteXModule
from litex.soc.integration.soc import SoCRegion
from litex.soc.interconnect import axi, stream
from litex.soc.interconnect.csr import CSR, CSRStatus
from litex.soc.interconnect.csr_eventmanager import EventManager, EventSourceLevel
from migen import ClockSignal, Instance, ResetSignal
from vitric.integration.registers import ADDRESS_BITS

__all__ = ["LogitQueue", "Vitric", "add_vitric"]


class Vitric(LiteXModule):
    """The Verilog of ``vitric generate --project P --wrapper axis`` with LiteX's interfaces.

    Parameters
    ----------
    platform : litex GenericPlatform
        Gets the Verilog as a source.
    sidecar : path
        The JSON file beside the Verilog; nothing else is read.

    Attributes
    ----------
    bus : AXILiteInterface
        Of the registers.
    model, image : Endpoint of ``data``
        What enters; a packet ends with ``last``.
    logits, status : Endpoint of ``data``
        What leaves.
    ev : EventManager
        Event ``done``: the level of ``irq``.

    Raises
    ------
    ValueError
        The file is not the sidecar of a wrapped accelerator.
    """

    def __init__(self, platform, sidecar):
        path = Path(sidecar)
        about = json.loads(path.read_text(encoding="utf-8"))
        if about.get("wrapper") != "axis" or "register_map" not in about:
            raise ValueError(f"{path} must be the JSON file that `vitric generate --project P --wrapper axis` writes")
        self.bus = axi.AXILiteInterface(data_width=32, address_width=32)
        self.ev = EventManager()
        self.ev.done = EventSourceLevel(description="An inference has ended.")
        self.ev.finalize()
        ports = {"i_aclk": ClockSignal("sys"), "i_aresetn": ~ResetSignal("sys"), "o_irq": self.ev.done.trigger}
        for name, described in about["streams"].items():
            prefix, into = described["prefix"], described["dir"] == "in"
            width = about["ports"][f"{prefix}_tdata"]["width"]
            endpoint = stream.Endpoint([("data", width)])
            setattr(self, name, endpoint)
            forward, back = ("i", "o") if into else ("o", "i")
            ports |= {
                f"{forward}_{prefix}_tdata": endpoint.data, f"{forward}_{prefix}_tvalid": endpoint.valid,
                f"{forward}_{prefix}_tlast": endpoint.last, f"{back}_{prefix}_tready": endpoint.ready,
            }
        self.specials += Instance(about["module"], **ports, **self._registers())
        platform.add_source(str(path.with_suffix(".v").resolve()))

    def _registers(self) -> dict:
        """Return the connections of AXI4-Lite."""
        ports = {"i_s_axi_awprot": 0, "i_s_axi_arprot": 0}
        for channel, forward in (("aw", True), ("w", True), ("b", False), ("ar", True), ("r", False)):
            endpoint = getattr(self.bus, channel)
            there, back = ("i", "o") if forward else ("o", "i")
            ports |= {f"{there}_s_axi_{channel}valid": endpoint.valid, f"{back}_s_axi_{channel}ready": endpoint.ready}
        return ports | {
            "i_s_axi_awaddr": self.bus.aw.addr[:ADDRESS_BITS], "i_s_axi_araddr": self.bus.ar.addr[:ADDRESS_BITS],
            "i_s_axi_wdata": self.bus.w.data, "i_s_axi_wstrb": self.bus.w.strb, "o_s_axi_bresp": self.bus.b.resp,
            "o_s_axi_rdata": self.bus.r.data, "o_s_axi_rresp": self.bus.r.resp,
        }


class LogitQueue(LiteXModule):
    """Logits for a processor to read one by one.

    Registers: ``valid``, whether there is one; ``value``, the oldest, with its sign in all 32 bits; ``next``, written
    to take it away.

    Parameters
    ----------
    width : int
        Of ``sink.data``.
    depth : int
        Logits that are kept; the accelerator waits if there are more.
    """

    def __init__(self, width: int, depth: int):
        self.fifo = fifo = stream.SyncFIFO([("data", width)], depth, buffered=True)
        self.sink = fifo.sink
        self.valid = CSRStatus(1, description="There is a logit.")
        self.value = CSRStatus(32, description="The oldest logit, signed.")
        self.next = CSR()
        data = fifo.source.data
        self.comb += [
            self.valid.status.eq(fifo.source.valid), fifo.source.ready.eq(self.next.re),
            self.value.status[:width].eq(data),
            *(self.value.status[bit].eq(data[-1]) for bit in range(width, 32)),
        ]


def add_vitric(soc, sidecar, *, name: str = "vitric", origin: int | None = None, logits: int = 1024) -> Vitric:
    """Put an accelerator into a SoC and return it.

    ``NAME`` has its registers at ``origin``; ``NAME_model`` and ``NAME_image`` are DMA readers on LiteDRAM (registers
    ``base`` and ``length`` in bytes from the start of the memory, ``enable``, ``done``), ``NAME_logits`` is a
    :class:`LogitQueue`. ``driver/vitric.h`` drives them.

    Parameters
    ----------
    soc : litex SoC
        With LiteDRAM: call its ``add_sdram`` first.
    sidecar : path
        As of :class:`Vitric`.
    name : str
    origin : int, optional
        Address of the registers; by default LiteX chooses one.
    logits : int
        Logits that are kept for the processor: as many as the model has classes, or more.

    Raises
    ------
    ValueError
        There is no LiteDRAM, or the file is not such a sidecar.
    """
    if not hasattr(soc, "sdram"):
        raise ValueError("a SoC with vitric needs LiteDRAM, from which models and images come: call add_sdram before")
    accelerator = Vitric(soc.platform, sidecar)
    soc.add_module(name, accelerator)
    soc.bus.add_slave(name, accelerator.bus, SoCRegion(origin=origin, size=1 << ADDRESS_BITS, cached=False))
    if soc.irq.enabled:
        soc.irq.add(name, use_loc_if_exists=True)
    for kind, endpoint in (("model", accelerator.model), ("image", accelerator.image)):
        port = soc.sdram.crossbar.get_port(mode="read", data_width=len(endpoint.data))
        reader = LiteDRAMDMAReader(port, fifo_depth=16, with_csr=True)
        soc.add_module(f"{name}_{kind}", reader)
        soc.comb += reader.source.connect(endpoint)
    queue = LogitQueue(len(accelerator.logits.data), logits)
    soc.add_module(f"{name}_logits", queue)
    soc.comb += [accelerator.logits.connect(queue.sink), accelerator.status.ready.eq(1)]
    return accelerator
