"""One unit behind AXI4-Stream."""

from amaranth.hdl import ClockDomain, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from .axi_stream import axis_members, join_axis

__all__ = ["AxisUnit"]


class AxisUnit(wiring.Component):
    """A unit of :data:`~vitric.hdl.units.UNITS` whose streams are AXI4-Streams; other ports stay what they are.

    A stream ``i`` has the ports ``s_axis_i_tdata``, ``_tvalid``, ``_tready``, and ``_tlast`` if its payload has a field
    ``last``; one that leaves, ``o``, has ``m_axis_o_…``. :func:`~vitric.integration.axi_stream.tdata_fields` says where
    the other fields lie in ``tdata``. *Latency and interval* are the unit's.

    Parameters
    ----------
    unit : Component
        With streams that are always neither ready nor valid.

    Members
    -------
    aclk, aresetn : 1, in
        Clock of all ports; reset, active low, taken at rising edges.

    Attributes
    ----------
    shapes : dict
        Payload and direction, ``in`` or ``out``, of each stream by its name.

    Raises
    ------
    ValueError
        A stream of the unit has no ``valid`` or no ``ready``.
    """

    def __init__(self, unit: wiring.Component):
        self.unit = unit
        self.shapes, members = {}, {"aclk": In(1), "aresetn": In(1)}
        for name, member in unit.signature.members.items():
            if member.is_port:
                members[name] = member
                continue
            if member.signature.always_valid or member.signature.always_ready:
                raise ValueError(f"stream {name} must have valid and ready")
            shape = member.signature.members["payload"].shape
            self.shapes[name] = shape, "in" if member.flow is In else "out"
            members |= axis_members(name, shape, into=member.flow is In)
        super().__init__(members)

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        m.domains.sync = domain = ClockDomain()
        m.submodules.unit = unit = self.unit
        m.d.comb += [domain.clk.eq(self.aclk), domain.rst.eq(~self.aresetn)]
        for name, member in unit.signature.members.items():
            inner = getattr(unit, name)
            if member.is_port:
                outer = getattr(self, name)
                m.d.comb += inner.eq(outer) if member.flow is In else outer.eq(inner)
            else:
                join_axis(m, self, name, inner, into=member.flow is In)
        return m
