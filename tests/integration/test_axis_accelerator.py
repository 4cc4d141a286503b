"""Ports of the accelerator behind AXI, as tools look for them. `tests/sim/benches` drives them."""

import pytest
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.accelerator import SPECS
from vitric.integration.axis_accelerator import AxisAccelerator


@pytest.mark.parametrize(("name", "model", "image"), [("tiny", 32, 16), ("digits", 128, 32), ("deit_tiny", 64, 64)])
def test_ports(name, model, image):
    component = AxisAccelerator(SPECS[name])
    members = component.signature.members
    assert members["s_axis_model_tdata"] == In(model) and members["s_axis_image_tdata"] == In(image)
    assert members["m_axis_logits_tdata"].flow == Out and members["m_axis_status_tdata"] == Out(24)
    for stream in ("s_axis_model", "s_axis_image", "m_axis_logits", "m_axis_status"):
        ends = (In, Out) if stream.startswith("s") else (Out, In)
        assert [members[f"{stream}_{signal}"].flow for signal in ("tvalid", "tlast", "tready")] == [
            ends[0], ends[0], ends[1]]
    assert members["s_axi_awaddr"] == In(12) and members["s_axi_rdata"] == Out(32) and members["irq"] == Out(1)
    assert set(component.shapes) == {"model", "image", "logits", "status"}
