"""The JSON file beside generated Verilog: ports, what lies in them, registers."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from .registers import ADDRESS_BITS, MAP_VERSION, REGISTERS

if TYPE_CHECKING:
    from amaranth.lib.wiring import Component

__all__ = ["FORMAT", "axis_streams", "ports", "register_map"]

FORMAT = 1
"""Version of the file's fields: it grows when one is renamed or changes its meaning, not when one is added."""


def ports(component: "Component") -> dict[str, dict]:
    """Return every port of the Verilog module by name.

    ``dir`` (``in`` or ``out``), ``width`` in bits, ``signed``, and ``layout`` where the bits have a structure. A layout
    is ``{"fields": {name: {"offset": bits, ...}}}`` or ``{"length": n, "element": ...}`` around further layouts or
    ``{"width": bits, "signed": true or false}``. ``clk`` and ``rst`` are there unless the component has a clock of its
    own.
    """
    own = any(path[-1] == "aclk" for path, _, _ in component.signature.flatten(component))
    found = {name: {"dir": "in", "width": 1, "signed": False} for name in (() if own else ("clk", "rst"))}
    for path, member, _ in component.signature.flatten(component):
        layout = _layout(member.shape)
        port = {"dir": member.flow.name.lower(), "width": layout["width"], "signed": layout.get("signed", False)}
        if "signed" not in layout:
            port["layout"] = {key: part for key, part in layout.items() if key != "width"}
        found["__".join(map(str, path))] = port
    return found


def _layout(shape) -> dict:
    """Return a shape as plain JSON types: ``width``, and ``signed`` or what it is made of."""
    from amaranth.hdl import Shape
    from amaranth.lib import data

    if isinstance(shape, data.StructLayout):
        fields = {name: {"offset": field.offset, **_layout(field.shape)} for name, field in shape}
        return {"width": shape.size, "fields": fields}
    if isinstance(shape, data.ArrayLayout):
        return {"width": shape.size, "length": shape.length, "element": _layout(shape.elem_shape)}
    shape = Shape.cast(shape)
    return {"width": shape.width, "signed": shape.signed}


def axis_streams(shapes: dict[str, tuple[object, str]]) -> dict[str, dict]:
    """Return what is in the AXI4-Streams of a module.

    Parameters
    ----------
    shapes : dict
        Payload, and direction (``in`` or ``out``), by the name that is in those of the ports.

    Returns
    -------
    dict
        By that name: ``dir``, ``prefix`` of the ports, and ``tdata``, the fields in it with ``offset``, ``width``,
        ``signed``, and ``layout`` where they have a structure.
    """
    return {name: {"dir": where, "prefix": f"{'s' if where == 'in' else 'm'}_axis_{name}", "tdata": _tdata(shape)}
            for name, (shape, where) in shapes.items()}


def _tdata(shape) -> dict[str, dict]:
    from amaranth.lib import data

    from .axi_stream import tdata_fields

    members = shape.members if isinstance(shape, data.StructLayout) else {"data": shape}
    result = {}
    for name, place in tdata_fields(shape).items():
        layout = _layout(members[name])
        deeper = {} if "signed" in layout else {"layout": {key: part for key, part in layout.items() if key != "width"}}
        result[name] = place | deeper
    return result


def register_map() -> dict:
    """Return ``version``, ``address_bits``, and ``registers``: those of :mod:`vitric.integration.registers`."""
    return {"version": MAP_VERSION, "address_bits": ADDRESS_BITS, "registers": [asdict(one) for one in REGISTERS]}
