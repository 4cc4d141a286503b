"""A QONNX graph while it is built: nodes with names, shapes and the integer model's name of what they compute.

QONNX is ONNX with operators for quantization in a domain of its own (Pappalardo et al. 2022, arXiv 2206.07527). Values
are float32 throughout; ``Quant(x, scale, zero_point, bits)`` gives ``(clamp(round(x / scale + zero_point)) -
zero_point) * scale``.
"""

import json
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper

from ..quantization.codes.maps import BookCodes, NarrowCodes
from ..quantization.codes.quantity import Quantity

__all__ = ["DOMAIN", "Graph", "Traced"]

DOMAIN = "qonnx.custom_op.general"
"""Operator domain of ``Quant`` and ``MultiThreshold``."""

_ROUNDING = "ROUND"  # half to even: the mode that every reader knows; the network sees to ties
_TRACE_KEY, _TENSORS_KEY, _INFO_KEY = "vitric.trace", "vitric.tensors", "vitric.info"
_OPSET, _DOMAIN_VERSION = 17, 1  # 17 is the first with LayerNormalization
_IR_VERSION = 10  # the first whose nodes have metadata


@dataclass(frozen=True, kw_only=True, eq=False)
class Traced:
    """A tensor of the graph that the integer model's trace has too, under the same name.

    A code of the integer model is ``value / step + zero_code``, exactly; it stands for the real number that
    ``quantity`` decodes it to. Without a quantity the values are the real numbers themselves, not rounded.

    Parameters
    ----------
    name : str
        In the graph and in the trace.
    unrounded : str
        The tensor before it was rounded, in the same units; ``name`` itself where nothing is rounded.
    step : float
        Scale of the Quant node.
    zero_code : int
        Code that the value 0 stands for.
    quantity : Quantity, optional
    """

    name: str
    unrounded: str
    step: float = 1.0
    zero_code: int = 0
    quantity: Quantity | None = None

    def codes(self, values: torch.Tensor) -> torch.Tensor:
        """Return the integer model's codes, int64, of values of the tensor."""
        return torch.floor(values.to(torch.float64) / self.step + self.zero_code + 0.5).to(torch.int64)

    def values(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the tensor's values, float64, of codes."""
        return (codes - self.zero_code).to(torch.float64) * self.step

    def described(self) -> dict:
        """Return what the file says about the tensor: how its values become codes, and those become real numbers."""
        if self.quantity is None:
            return {"kind": "real"}
        quantity = self.quantity
        return {"kind": "codes", "bits": quantity.codes.bits, "step": self.step, "zero_code": self.zero_code,
                "scale": quantity.scale.tolist(), "zero_point": quantity.zero_point,
                "offset": quantity.offset.tolist()}


class Graph:
    """Nodes, constants and shapes of a graph that grows from its inputs to its outputs.

    Parameters
    ----------
    name : str
        Of the graph.
    """

    def __init__(self, name: str):
        self.name = name
        self.traced: dict[str, Traced] = {}
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._casts: dict[str, int] = {}
        self._inputs: list[str] = []

    def input(self, name: str, shape: tuple[int, ...]) -> str:
        """Add a float32 input and return its name."""
        self._inputs.append(name)
        self._shapes[name] = shape
        return name

    def constant(self, name: str, value: torch.Tensor | float | int | list[int]) -> str:
        """Add a constant (integers are int64, tensors and floats float32) and return its name."""
        kind = np.int64 if isinstance(value, (int, list)) else np.float32
        with np.errstate(over="ignore"):
            array = np.asarray(value.detach().numpy() if isinstance(value, torch.Tensor) else value).astype(kind)
        if not np.isfinite(array).all():
            raise ValueError(f"{name} does not fit float32")
        self._constants[name] = numpy_helper.from_array(array, name)
        return name

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor that is not a constant."""
        return self._shapes[name]

    def add(self, kind: str, inputs: list[str], output: str, shape: tuple[int, ...] | None = None, *,
            trace: str | None = None, domain: str = "", **attributes: object) -> str:
        """Add a node called as its output and return that name.

        Parameters
        ----------
        kind : str
            Operator.
        inputs : list of str
        output : str
        shape : tuple of int, optional
            Of the output; by default that of the first input.
        trace : str, optional
            Name in the integer model's trace of the tensor that the node helps to compute; by default the output's.
        domain : str
        **attributes
        """
        node = helper.make_node(kind, inputs, [output], name=output, domain=domain, **attributes)
        node.metadata_props.append(onnx.StringStringEntryProto(key=_TRACE_KEY, value=trace or output))
        self._nodes.append(node)
        if "to" in attributes:
            self._casts[output] = attributes["to"]
        self._shapes[output] = self._shapes[inputs[0]] if shape is None else shape
        return output

    def affine(self, x: str, name: str, factor: torch.Tensor, term: torch.Tensor, trace: str) -> str:
        """Return ``x * factor + term``, without the nodes that would change nothing."""
        if bool((factor != 1).any()):
            x = self.add("Mul", [x, self.constant(f"{name}.factor", factor)], f"{name}.scaled", trace=trace)
        if bool((term != 0).any()):
            x = self.add("Add", [x, self.constant(f"{name}.term", term)], f"{name}.shifted", trace=trace)
        return x

    def quant(self, x: str, name: str, scale: torch.Tensor | float, bits: int, *, trace: str, signed: bool = True,
              narrow: bool = False, shape: tuple[int, ...] | None = None) -> str:
        """Add a Quant node with zero point 0; ``shape`` is that of ``x`` where it is a constant."""
        inputs = [x, self.constant(f"{name}.scale", scale), self.constant(f"{name}.zero_point", 0.0),
                  self.constant(f"{name}.bits", float(bits))]
        return self.add("Quant", inputs, name, shape, trace=trace, domain=DOMAIN, signed=int(signed),
                        narrow=int(narrow), rounding_mode=_ROUNDING)

    def weight(self, name: str, codes: torch.Tensor, largest: int, scale: torch.Tensor, trace: str) -> str:
        """Add weights and return the name after their Quant node.

        Their real values are integer codes of at most ``largest``, times a scale that broadcasts.
        """
        bits = largest.bit_length() + 1
        if bool((scale == scale.reshape(-1)[0]).all()):
            scale = scale.reshape(-1)[0]
        real = self.constant(f"{name}.weight.real", codes * scale)
        return self.quant(real, f"{name}.weight", scale, bits, narrow=True, trace=trace, shape=tuple(codes.shape))

    def round(self, x: str, name: str, quantity: Quantity, step: float, zero_code: int, *,
              signed: bool = True) -> str:
        """Round ``x``, in units in which codes of ``quantity`` are ``step`` apart, and trace the result as ``name``."""
        codes = quantity.codes
        if isinstance(codes, BookCodes):
            self._book(x, name, codes, step, zero_code)
        elif isinstance(codes, NarrowCodes) and codes.planes == 2:
            self._digits(x, name, codes, step)
        else:
            self.quant(x, name, step, codes.bits, signed=signed, narrow=isinstance(codes, NarrowCodes), trace=name)
        self.traced[name] = Traced(name=name, unrounded=x, step=step, zero_code=zero_code, quantity=quantity)
        return name

    def _digits(self, x: str, name: str, codes: NarrowCodes, step: float) -> None:
        """Round to codes of two narrow digits: the upper digit first, then what it leaves."""
        half = 1 << codes.plane_bits - 1
        most = codes.high + half - 1 >> codes.plane_bits  # of the upper digit
        if codes.high < (most << codes.plane_bits) + half - 1:  # the digits hold more than the code
            low, high = (self.constant(f"{name}.{end}", code * step)
                         for end, code in (("low", codes.low), ("high", codes.high)))
            x = self.add("Clip", [x, low, high], f"{name}.clipped", trace=name)
        upper_bits = most.bit_length() + 1
        upper = self.quant(x, f"{name}.upper", step * 2 * half, upper_bits, narrow=True, trace=name)
        rest = self.add("Sub", [x, upper], f"{name}.rest", trace=name)
        lower = self.quant(rest, f"{name}.lower", step, codes.plane_bits, narrow=True, trace=name)
        self.add("Add", [upper, lower], name)

    def _book(self, x: str, name: str, codes: BookCodes, step: float, zero_code: int) -> None:
        """Round to the values of a code book: count the middles that are not above, and look the value up."""
        values = torch.tensor(codes.values, dtype=torch.float64)
        middles = self.constant(f"{name}.middles", ((values[1:] + values[:-1]) / 2 - zero_code)[None] * step)
        count = self.add("MultiThreshold", [x, middles], f"{name}.count", trace=name, domain=DOMAIN,
                         out_dtype=f"UINT{(len(values) - 1).bit_length()}")
        index = self.add("Cast", [count], f"{name}.index", trace=name, to=onnx.TensorProto.INT64)
        table = self.constant(f"{name}.values", (values - zero_code) * step)
        self.add("Gather", [table, index], name, self._shapes[x], axis=0)

    def real(self, name: str) -> str:
        """Trace the tensor ``name``, which is not rounded."""
        self.traced[name] = Traced(name=name, unrounded=name)
        return name

    def model(self, outputs: list[str], info: dict[str, str]) -> onnx.ModelProto:
        """Return the model, checked; ``info`` and the traced tensors become its metadata."""
        def declared(names):
            return [helper.make_tensor_value_info(name, self._casts.get(name, onnx.TensorProto.FLOAT),
                                                  self._shapes[name]) for name in names]

        inner = [name for name in self._shapes if name not in outputs and name not in self._inputs]
        graph = helper.make_graph(self._nodes, self.name, declared(self._inputs), declared(outputs),
                                  list(self._constants.values()), value_info=declared(inner))
        model = helper.make_model(graph, producer_name="vitric", ir_version=_IR_VERSION, opset_imports=[
            helper.make_opsetid("", _OPSET), helper.make_opsetid(DOMAIN, _DOMAIN_VERSION)])
        tensors = {name: traced.described() for name, traced in self.traced.items()}
        helper.set_model_props(model, {_TENSORS_KEY: json.dumps(tensors), _INFO_KEY: json.dumps(info)})
        onnx.checker.check_model(model)
        return model
