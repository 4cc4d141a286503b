"""Registers behind AXI4-Lite."""

from collections.abc import Sequence

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .register_block import RegisterBlock
from .registers import ADDRESS_BITS, Register

__all__ = ["AxiLite", "axi_lite_members"]

_SLVERR = 2


def axi_lite_members(prefix: str) -> dict:
    """Return the ports of an AXI4-Lite subordinate with 32 data bits (Arm IHI 0022, chapter B1), by their names."""
    members = {
        "awaddr": In(ADDRESS_BITS), "awprot": In(3), "awvalid": In(1), "awready": Out(1),
        "wdata": In(32), "wstrb": In(4), "wvalid": In(1), "wready": Out(1),
        "bresp": Out(2), "bvalid": Out(1), "bready": In(1),
        "araddr": In(ADDRESS_BITS), "arprot": In(3), "arvalid": In(1), "arready": Out(1),
        "rdata": Out(32), "rresp": Out(2), "rvalid": Out(1), "rready": In(1),
    }
    return {f"{prefix}_{name}": member for name, member in members.items()}


class AxiLite(wiring.Component):
    """AXI4-Lite in front of a :class:`~vitric.integration.register_block.RegisterBlock`.

    Address and data of a write may come in any order. A write to an address that has no register that can be written,
    and a read of one that has none, is answered with SLVERR, and changes nothing. Protection bits do not count.

    *Handshake*: that of AXI on all five channels: no answer waits for anything but its request, no ``ready`` is a
    function of an input. *Latency*: 1 cycle from the later of address and data to ``bvalid``, 1 cycle from an address
    to ``rvalid``. *Interval*: 2 cycles, reads and writes beside each other.

    Parameters
    ----------
    registers : sequence of Register

    Members
    -------
    s_axi_* : see :func:`axi_lite_members`
    block : RegisterBlock
        Not a port: its fields are connected by whoever has this component.
    """

    def __init__(self, registers: Sequence[Register]):
        self.block = RegisterBlock(registers)
        super().__init__(axi_lite_members("s_axi"))

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        m.submodules.block = block = self.block

        # A channel takes a request into a register, and the next one when that has been answered.
        address, data, strobe = Signal(ADDRESS_BITS), Signal(32), Signal(4)
        has_address, has_data = Signal(), Signal()
        m.d.comb += [
            self.s_axi_awready.eq(~has_address), self.s_axi_wready.eq(~has_data),
            block.write_address.eq(address), block.write_data.eq(data), block.write_strobe.eq(strobe),
        ]
        with m.If(self.s_axi_awvalid & self.s_axi_awready):
            m.d.sync += [address.eq(self.s_axi_awaddr), has_address.eq(1)]
        with m.If(self.s_axi_wvalid & self.s_axi_wready):
            m.d.sync += [data.eq(self.s_axi_wdata), strobe.eq(self.s_axi_wstrb), has_data.eq(1)]
        with m.If(self.s_axi_bvalid & self.s_axi_bready):
            m.d.sync += self.s_axi_bvalid.eq(0)
        with m.Elif(has_address & has_data & ~self.s_axi_bvalid):
            m.d.comb += block.write.eq(1)
            m.d.sync += [
                has_address.eq(0), has_data.eq(0), self.s_axi_bvalid.eq(1),
                self.s_axi_bresp.eq(Mux(block.write_known, 0, _SLVERR)),
            ]

        m.d.comb += [self.s_axi_arready.eq(~self.s_axi_rvalid), block.read_address.eq(self.s_axi_araddr)]
        with m.If(self.s_axi_rvalid):
            with m.If(self.s_axi_rready):
                m.d.sync += self.s_axi_rvalid.eq(0)
        with m.Elif(self.s_axi_arvalid):
            m.d.sync += [
                self.s_axi_rvalid.eq(1), self.s_axi_rdata.eq(block.read_data),
                self.s_axi_rresp.eq(Mux(block.read_known, 0, _SLVERR)),
            ]
        return m
