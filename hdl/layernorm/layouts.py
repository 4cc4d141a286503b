"""Payload layouts of the LayerNorm unit."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data
from vitric.golden.spec.layernorm import LayerNormSpec

__all__ = ["affine_layout", "constants_layout", "input_layout", "lane_scale_layout", "output_layout", "row_layout"]


def input_layout(spec: LayerNormSpec) -> data.StructLayout:
    """Beat of ``i``: one channel of every row, and ``last`` with the last channel."""
    return data.StructLayout({"x": data.ArrayLayout(signed(spec.in_bits), spec.lanes), "last": 1})


def output_layout(spec: LayerNormSpec) -> data.StructLayout:
    """Beat of ``o``: one channel of every row as codes, and ``last`` with the last channel."""
    return data.StructLayout({"code": data.ArrayLayout(unsigned(spec.out_bits), spec.lanes), "last": 1})


def affine_layout(spec: LayerNormSpec) -> data.StructLayout:
    """Beat of ``affine``: the parameters of one channel."""
    return data.StructLayout({"gamma": signed(spec.gamma_bits), "beta": signed(spec.beta_bits)})


def row_layout(spec: LayerNormSpec) -> data.StructLayout:
    """Port ``row``: the fields of ``RowConstants`` that the unit cannot count itself."""
    return data.StructLayout({
        "inverse": unsigned(spec.inverse_bits), "norm": unsigned(spec.length_bits),
        "exponent": unsigned(spec.exponent_bits),
    })


def constants_layout(spec: LayerNormSpec) -> data.StructLayout:
    """What the row arithmetic knows about a group of rows: minus its length, counted, and ``row_layout``."""
    return data.StructLayout({"minus_length": signed(spec.length_bits + 1), "row": row_layout(spec)})


def lane_scale_layout(spec: LayerNormSpec) -> data.StructLayout:
    """Result of the row arithmetic for one row: ``y = (x*multiplier >> shift_step*position) - offset``."""
    return data.StructLayout({
        "multiplier": unsigned(spec.multiplier_bits), "offset": signed(spec.y_bits), "position": unsigned(2),
    })
