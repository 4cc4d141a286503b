"""AXI4-Stream ports of Amaranth streams: names, whole bytes, and where ``last`` goes."""

from amaranth.hdl import Cat, Module, Shape, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

__all__ = ["axis_members", "join_axis", "tdata_fields"]


def _is_packet(shape) -> bool:
    """Return whether a payload says with a bit ``last`` where a packet ends."""
    return isinstance(shape, data.StructLayout) and "last" in shape.members and len(shape.members) > 1


def tdata_fields(shape) -> dict[str, dict]:
    """Return the fields of ``tdata`` for a payload, by name: ``offset``, ``width``, ``signed``.

    Fields of a struct lie as in the struct, without ``last``, which is ``tlast``; any other payload is ``data``.
    """
    if not isinstance(shape, data.StructLayout):
        shape = data.StructLayout({"data": shape})
    fields, offset = {}, 0
    for name, field in shape:
        if name == "last" and _is_packet(shape):
            continue
        inner = Shape.cast(field.shape)
        if not inner.width:
            continue
        fields[name] = {"offset": offset, "width": inner.width, "signed": inner.signed}
        offset += inner.width
    return fields


def axis_members(name: str, shape, *, into: bool, packet: bool = False) -> dict:
    """Return the ports of an AXI4-Stream (Arm IHI 0051): ``tdata`` of whole bytes, ``tvalid``, ``tready``, ``tlast``.

    Parameters
    ----------
    name : str
        The ports are ``s_axis_NAME_tdata`` and so on, or ``m_axis_NAME_…`` of a stream that leaves.
    shape : shape-like
        Of the payload.
    into : bool
        Whether it is an input.
    packet : bool
        Have ``tlast`` though the payload has no ``last``.
    """
    width = max((field["offset"] + field["width"] for field in tdata_fields(shape).values()), default=0)
    ours, theirs, prefix = (In, Out, "s_axis") if into else (Out, In, "m_axis")
    members = {"tdata": ours(max(8, -(-width // 8) * 8)), "tvalid": ours(1), "tready": theirs(1)}
    if packet or _is_packet(shape):
        members["tlast"] = ours(1)
    return {f"{prefix}_{name}_{signal}": member for signal, member in members.items()}


def join_axis(m: Module, owner, name: str, port, *, into: bool) -> None:
    """Connect the AXI4-Stream ``name`` of ``owner`` to an Amaranth stream, payload, ``last`` and handshake.

    AXI4-Stream's rules are those of :mod:`vitric.hdl.streams`: ``tvalid`` never waits for ``tready`` and holds. Spare
    bits of ``tdata`` are 0, or the sign of a payload that is a signed number; on the way in they do not count.
    """
    prefix = f"{'s' if into else 'm'}_axis_{name}"
    tdata, tvalid, tready = (getattr(owner, f"{prefix}_{signal}") for signal in ("tdata", "tvalid", "tready"))
    shape = port.payload.shape()
    if _is_packet(shape):
        tlast, ends = getattr(owner, f"{prefix}_tlast"), port.payload.last
        value = Cat(Value.cast(port.payload[name]) for name in shape.members if name != "last")
        m.d.comb += ends.eq(tlast) if into else tlast.eq(ends)
    else:
        value = Value.cast(port.payload)
    if into:
        m.d.comb += [value.eq(tdata), port.valid.eq(tvalid), tready.eq(port.ready)]
    else:
        m.d.comb += [tdata.eq(value), tvalid.eq(port.valid), port.ready.eq(tready)]
