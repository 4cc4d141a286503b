"""From a lowered model to a QONNX graph: the simulated quantized model, its scales absorbed as hardware absorbs them.

The graph computes what :func:`vitric.golden.quantization.simulate` computes: rounded weights and activations,
and between them softmax, LayerNorm, GELU and the residual stream in float. Where the channels of an activation have
scales and offsets of their own, or its codes a zero point, the layer in front produces and the weights and the bias
behind absorb them, as in the integer model; so every activation's Quant node has one scale and zero point 0, and every
weight's one scale per output channel.
"""

from dataclasses import dataclass

import onnx
import torch

from ..activation import CUBIC, QUICK, TANH_SCALE
from ..quantization import Lowered
from ..quantization.codes.maps import CentredCodes, UnsignedCodes
from ..quantization.codes.quantity import Quantity
from ..quantization.lowering.linear import LinearDraft
from ..spec.check import check_int
from .graph import Graph, Traced

__all__ = ["TIE", "QonnxModel", "export"]

TIE = 2.0**-22
"""Of the range of a tensor's codes: what the layer in front of a Quant node adds, so that halves go up as in golden.

QONNX's ROUND takes them to even. Ties do occur: the largest query of the calibration images is half a step outside the
codes, and that of the class token in block 0 is the same for every image. The shift is a little more than the error of
float32, so it decides ties and changes hardly anything else.
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class QonnxModel:
    """A QONNX model, and how its tensors relate to the integer model's.

    Parameters
    ----------
    proto : onnx.ModelProto
        One float32 input ``images`` (batch, C, H, W), pixel codes 0 to 255; one output ``head`` (batch, classes),
        logits in real units.
    tensors : dict of Traced
        By name, in the order of computation; the file holds the same as metadata.
    batch : int
        Images that the graph takes at once.
    """

    proto: onnx.ModelProto
    tensors: dict[str, Traced]
    batch: int


@dataclass(frozen=True)
class _Units:
    """Units of a rounded tensor in the graph: a value is ``step * (code - zero_code)``.

    A real number x becomes ``x * factor + term`` before it is rounded, :data:`TIE` included.
    """

    step: float
    zero_code: int
    factor: torch.Tensor
    term: torch.Tensor


def _units(quantity: Quantity) -> _Units:
    """Choose the units: real steps where all channels have the same, otherwise 1.

    Unsigned codes are moved to be signed about the middle one, which needs no zero point.
    """
    moved = isinstance(quantity.codes, (UnsignedCodes, CentredCodes))
    zero_code = 1 << quantity.codes.bits - 1 if moved else quantity.zero_point
    scalar = bool((quantity.scale == quantity.scale.reshape(-1)[0]).all())
    step = float(quantity.scale.reshape(-1)[0]) if scalar else 1.0
    factor = torch.ones((), dtype=torch.float64) if scalar else 1 / quantity.scale
    return _Units(step, zero_code, factor,
                  step * (quantity.zero_point - zero_code + TIE * 2**quantity.codes.bits) - factor * quantity.offset)


class _Network:
    """State of one export: the graph so far and the units of the rounded tensors in it."""

    def __init__(self, lowered: Lowered, batch: int):
        self.lowered, self.config, self.source = lowered, lowered.model.config, lowered.source
        self.graph = Graph("vitric")
        self.batch = batch
        self.units = {name: _units(quantity) for name, quantity in lowered.quantities.items()}

    def rounded(self, x: str, name: str) -> str:
        """Round a tensor that is in the units of ``name`` already."""
        units = self.units[name]
        return self.graph.round(x, name, self.lowered.quantities[name], units.step, units.zero_code)

    def absorbed(self, draft: LinearDraft, source: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the scale (N,) of the weights and the bias (N,) of a layer behind the tensor ``source``."""
        units, quantity = self.units[source], self.lowered.quantities[source]
        steps = units.zero_code - quantity.zero_point  # that a value of 0 in the graph is worth
        return draft.unit / units.step, draft.bias + draft.unit * draft.weight.sum(1) * steps

    def linear(self, x: str, name: str, source: str, out: str, *, target: _Units | None = None,
               trace: str | None = None) -> str:
        """Add a linear layer; its result is real, or in the units of ``target``."""
        trace = trace or name
        draft = self.lowered.drafts[name]
        scale, bias = self.absorbed(draft, source)
        if target is not None:
            scale, bias = scale * target.factor, bias * target.factor + target.term
        weight = self.graph.weight(name, draft.weight.T, draft.codes.high, scale[None], trace=trace)
        shape = (*self.graph.shape(x)[:-1], len(bias))
        product = self.graph.add("MatMul", [x, weight], f"{name}.product", shape, trace=trace)
        return self.graph.add("Add", [product, self.graph.constant(f"{name}.bias", bias)], out, trace=trace)

    def norm(self, x: str, name: str, norm: torch.nn.LayerNorm) -> str:
        """Add a LayerNorm and round its result."""
        units = self.units[name]
        gamma, beta = norm.weight.detach().to(torch.float64), norm.bias.detach().to(torch.float64)
        affine = [self.graph.constant(f"{name}.gamma", (gamma * units.factor).expand(gamma.shape)),
                  self.graph.constant(f"{name}.beta", (beta * units.factor + units.term).expand(gamma.shape))]
        y = self.graph.add("LayerNormalization", [x, *affine], f"{name}.unrounded", trace=name, axis=-1,
                           epsilon=norm.eps)
        return self.rounded(y, name)

    def embedding(self) -> str:
        """Add everything up to the residual stream that enters block 0."""
        graph, config, source = self.graph, self.config, self.source
        grid = config.image_size // config.patch_size
        size, embed = config.patch_size, config.embed_dim
        images = graph.input("images", (self.batch, config.in_chans, config.image_size, config.image_size))
        pixels = graph.quant(images, "input", 1.0, 8, signed=False, trace="input")
        draft = self.lowered.drafts["patch_embed"]
        weight = graph.weight("patch_embed.proj", draft.weight.reshape(embed, config.in_chans, size, size),
                              draft.codes.high, draft.unit.reshape(-1, 1, 1, 1), trace="patch_embed")
        bias = graph.constant("patch_embed.proj.bias", draft.bias)
        x = graph.add("Conv", [pixels, weight, bias], "patch_embed.proj", (self.batch, embed, grid, grid),
                      trace="patch_embed", kernel_shape=[size, size], strides=[size, size])
        x = self._reshape(x, "patch_embed.flat", (embed, grid * grid), "patch_embed")
        x = graph.add("Transpose", [x], "patch_embed.patches", (self.batch, grid * grid, embed), trace="patch_embed",
                      perm=[0, 2, 1])
        prefix = config.num_prefix_tokens
        row = graph.constant("patch_embed.row", [0, prefix, 0, 0, 0, 0])  # rows of zeros in front of the patches
        x = graph.add("Pad", [x, row], "patch_embed.rows", (self.batch, config.num_tokens, embed), trace="patch_embed")
        start = source.pos_embed.detach()[0].to(torch.float64)
        start = torch.cat([start[:prefix] + source.prefix.detach()[0], start[prefix:]])
        x = graph.real(graph.add("Add", [x, graph.constant("pos_embed", start)], "patch_embed"))
        if not config.pre_norm:
            return x
        self.linear(self.norm(x, "norm_pre", source.norm_pre), "pre_proj", "norm_pre", "pre_proj")
        return graph.real("pre_proj")

    def _reshape(self, x: str, name: str, shape: tuple[int, ...], trace: str) -> str:
        target = self.graph.constant(f"{name}.shape", [0, *shape])
        return self.graph.add("Reshape", [x, target], name, (self.batch, *shape), trace=trace)

    def _heads(self, x: str, trace: str, *, swap: bool = False) -> str:
        """Return (B, T, E) as (B, H, T, hd), or with ``swap`` as (B, H, hd, T)."""
        config = self.config
        shape = (config.num_tokens, config.num_heads, config.head_dim)
        x = self._reshape(x, f"{trace}.split", shape, trace)
        perm = [0, 2, 3, 1] if swap else [0, 2, 1, 3]
        return self.graph.add("Transpose", [x], f"{trace}.heads", tuple((self.batch, *shape)[axis] for axis in perm),
                              trace=trace, perm=perm)

    def attention(self, a: str, source: str, name: str) -> str:
        """Add attention up to its context, rounded; the input ``a`` is the tensor ``source`` of the trace."""
        parts = {}
        for part in "qkv":
            trace = f"{name}.{part}"
            real = self.linear(a, trace, source, f"{trace}.unrounded", target=self.units[trace])
            parts[part] = self.rounded(real, trace)
        value = self.lowered.quantities[f"{name}.v"]
        offset = value.offset * self.units[f"{name}.v"].step / value.scale
        if bool((offset != 0).any()):
            parts["v"] = self.graph.add("Add", [parts["v"], self.graph.constant(f"{name}.v.offset", offset)],
                                        f"{name}.v.moved", trace=f"{name}.v")
        p = self.probabilities(self._heads(parts["q"], f"{name}.q"), self._heads(parts["k"], f"{name}.k", swap=True),
                               name)
        return self.context(p, self._heads(parts["v"], f"{name}.v"), name)

    def probabilities(self, q: str, k: str, name: str) -> str:
        """Add the scores and the softmax of queries (B, H, T, hd) and keys (B, H, hd, T), rounded.

        The keys' offset is missing: it adds the same to all scores of a row.
        """
        graph, config, quantities, trace = self.graph, self.config, self.lowered.quantities, f"{name}.softmax"
        shape = (self.batch, config.num_heads, config.num_tokens, config.num_tokens)
        scores = graph.add("MatMul", [q, k], f"{name}.scores.product", shape, trace=trace)
        unit = torch.ones(config.embed_dim, dtype=torch.float64) * config.head_dim**-0.5
        for part in "qk":  # the product of the scales is the same in all channels of a head
            unit = unit * quantities[f"{name}.{part}"].scale / self.units[f"{name}.{part}"].step
        unit = unit.reshape(config.num_heads, -1)[:, 0].reshape(-1, 1, 1)
        scores = graph.add("Mul", [scores, graph.constant(f"{name}.scores.unit", unit)], f"{name}.scores", trace=trace)
        p = graph.add("Softmax", [scores], f"{trace}.unrounded", trace=trace, axis=-1)
        return graph.round(p, trace, quantities[trace], float(quantities[trace].scale), 0, signed=False)

    def context(self, p: str, v: str, name: str) -> str:
        """Add the product of probabilities (B, H, T, T) and values (B, H, T, hd), heads side by side, rounded."""
        graph, config, trace = self.graph, self.config, f"{name}.context"
        shape = graph.shape(v)
        x = graph.add("MatMul", [p, v], f"{trace}.product", shape, trace=trace)
        x = graph.add("Transpose", [x], f"{trace}.tokens", tuple(shape[axis] for axis in (0, 2, 1, 3)), trace=trace,
                      perm=[0, 2, 1, 3])
        x = self._reshape(x, f"{trace}.joined", (config.num_tokens, config.embed_dim), trace)
        scale = self.lowered.quantities[f"{name}.v"].scale / self.units[f"{name}.v"].step
        x = graph.affine(x, trace, scale * self.units[trace].factor, self.units[trace].term, trace=trace)
        return self.rounded(x, trace)

    def activation(self, x: str, name: str) -> str:
        """Add the activation of the MLP and round its result: :mod:`vitric.golden.activation`."""
        graph = self.graph

        def step(kind: str, what: str, *operands: str | float) -> str:
            inputs = [graph.constant(f"{name}.{what}.constant", one) if isinstance(one, float) else one
                      for one in operands]
            return graph.add(kind, inputs, f"{name}.{what}", trace=name)

        if self.config.act_layer == "quick_gelu":
            share = step("Sigmoid", "share", step("Mul", "argument", x, QUICK))
        else:
            if self.config.act_layer == "gelu":
                curve = step("Erf", "erf", step("Mul", "argument", x, 0.5**0.5))
            else:
                bend = step("Add", "bend", step("Mul", "square", step("Mul", "self", x, x), CUBIC), 1.0)
                curve = step("Tanh", "tanh", step("Mul", "argument", step("Mul", "bent", x, bend), TANH_SCALE))
            share = step("Mul", "share", step("Add", "twice", curve, 1.0), 0.5)
        y = step("Mul", "real", x, share)
        units = self.units[name]
        return self.rounded(graph.affine(y, name, units.factor, units.term, trace=name), name)

    def block(self, x: str, index: int) -> str:
        """Add an encoder block."""
        name, block, graph = f"blocks.{index}", self.source.blocks[index], self.graph
        a = self.norm(x, f"{name}.norm1", block.norm1)
        a = self.attention(a, f"{name}.norm1", f"{name}.attn")
        y = self.linear(a, f"{name}.attn.proj", f"{name}.attn.context", f"{name}.attn.proj.real")
        x = graph.real(graph.add("Add", [x, y], f"{name}.attn.proj"))
        a = self.norm(x, f"{name}.norm2", block.norm2)
        hidden = self.linear(a, f"{name}.mlp.fc1", f"{name}.norm2", f"{name}.mlp.fc1.real", trace=f"{name}.mlp.act")
        a = self.activation(hidden, f"{name}.mlp.act")
        y = self.linear(a, f"{name}.mlp.fc2", f"{name}.mlp.act", f"{name}.mlp.fc2.real")
        return graph.real(graph.add("Add", [x, y], f"{name}.mlp.fc2"))

    def head(self, x: str) -> str:
        """Add the final norm and the head, on the class token."""
        zero = self.graph.constant("norm.token", 0)
        token = self.graph.add("Gather", [x, zero], "norm.input", (self.batch, self.config.embed_dim), trace="norm",
                               axis=1)
        self.linear(self.norm(token, "norm", self.source.norm), "head", "norm", "head")
        return self.graph.real("head")


def export(lowered: Lowered, *, batch: int = 1) -> QonnxModel:
    """Return a lowered model as QONNX.

    Parameters
    ----------
    lowered : Lowered
        Of :func:`~vitric.golden.quantization.quantize_with_scales`.
    batch : int
        Images that the graph takes at once; shapes of QONNX graphs are fixed.

    Raises
    ------
    ValueError
        ``batch`` is below 1, the model has a distillation token, or a constant does not fit float32.
    """
    check_int("batch", batch, 1, 1 << 16)
    if lowered.model.config.distilled:
        raise ValueError("the model must have no distillation token: the export knows one head, not two")
    network = _Network(lowered, batch)
    x = network.embedding()
    for index in range(lowered.model.config.depth):
        x = network.block(x, index)
    network.head(x)
    return QonnxModel(proto=network.graph.model(["head"], lowered.model.info), tensors=network.graph.traced,
                      batch=batch)
