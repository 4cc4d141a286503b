"""AXI4-Stream ports: names, whole bytes, tlast for a payload with last, and the JSON that says what lies where."""

import pytest
from amaranth.hdl import Module, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator
from vitric.hdl.streams import PipelineRegister
from vitric.integration.axi_stream import axis_members, tdata_fields
from vitric.integration.axis_unit import AxisUnit
from vitric.integration.sidecar import axis_streams, ports, register_map

PACKET = data.StructLayout({"x": signed(5), "last": 1, "pair": data.ArrayLayout(unsigned(3), 2), "none": 0})


def test_names_and_widths():
    assert axis_members("x", PACKET, into=True) == {
        "s_axis_x_tdata": In(16), "s_axis_x_tvalid": In(1), "s_axis_x_tready": Out(1), "s_axis_x_tlast": In(1)}
    assert axis_members("y", signed(9), into=False) == {
        "m_axis_y_tdata": Out(16), "m_axis_y_tvalid": Out(1), "m_axis_y_tready": In(1)}
    assert "m_axis_y_tlast" in axis_members("y", signed(9), into=False, packet=True)
    only = data.StructLayout({"last": 1})  # then it is not the end of anything
    assert "s_axis_x_tlast" not in axis_members("x", only, into=True)
    assert tdata_fields(PACKET) == {"x": {"offset": 0, "width": 5, "signed": True},
                                    "pair": {"offset": 5, "width": 6, "signed": False}}


def test_what_the_json_says():
    told = axis_streams({"i": (PACKET, "in"), "o": (signed(9), "out")})
    assert told["o"] == {"dir": "out", "prefix": "m_axis_o", "tdata": {
        "data": {"offset": 0, "width": 9, "signed": True}}}
    assert told["i"]["prefix"] == "s_axis_i" and told["i"]["tdata"]["pair"]["layout"] == {
        "length": 2, "element": {"width": 3, "signed": False}}
    registers = register_map()
    assert registers["version"] == 1 and registers["address_bits"] == 12
    control = next(one for one in registers["registers"] if one["name"] == "control")
    assert control["address"] == 0x10 and control["fields"][1]["reset"] == 1
    assert {"aclk", "aresetn", "s_axis_i_tlast"} <= set(ports(AxisUnit(PipelineRegister(PACKET))))
    assert "clk" not in ports(AxisUnit(PipelineRegister(PACKET))) and "clk" in ports(PipelineRegister(PACKET))


def test_payloads_pass_whole():
    """A register behind AXI: fields in tdata, last in tlast, the sign above a signed number."""
    ran = []
    for shape in (PACKET, signed(9)):
        dut = AxisUnit(PipelineRegister(shape))
        simulator = Simulator(dut)

        async def process(ctx, dut=dut, shape=shape):
            ctx.set(dut.aresetn, 1)
            ctx.set(dut.m_axis_o_tready, 1)
            values = [(0x7FF, 0), (0x2A5, 1)] if shape is PACKET else [(0x1FF, None), (0x0FF, None), (0xFE00, None)]
            for tdata, last in values:
                ctx.set(dut.s_axis_i_tdata, tdata)
                ctx.set(dut.s_axis_i_tvalid, 1)
                if last is not None:
                    ctx.set(dut.s_axis_i_tlast, last)
                assert ctx.get(dut.s_axis_i_tready)
                ctx.set(dut.aclk, 1)
                await ctx.delay(1e-7)
                ctx.set(dut.aclk, 0)
                await ctx.delay(1e-7)
                assert ctx.get(dut.m_axis_o_tvalid)
                if shape is PACKET:
                    assert ctx.get(dut.m_axis_o_tdata) == tdata & 0x7FF and ctx.get(dut.m_axis_o_tlast) == last
                else:
                    low = tdata & 0x1FF
                    assert ctx.get(dut.m_axis_o_tdata) == (low if low < 0x100 else low | 0xFE00)
                ran.append(tdata)

        simulator.add_testbench(process)
        simulator.run()
    assert len(ran) == 5


class Always(wiring.Component):
    def __init__(self):
        super().__init__({"i": In(stream.Signature(8, always_valid=True))})

    def elaborate(self, platform):
        return Module()


def test_a_stream_without_handshake_is_refused():
    with pytest.raises(ValueError, match="stream i must have valid and ready"):
        AxisUnit(Always())
