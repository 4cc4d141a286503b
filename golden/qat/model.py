"""The model in training: float parameters and step sizes, executed as the integer model that they lower to."""

import copy
from collections import defaultdict
from dataclasses import replace

import torch
from torch import nn
from torch.func import functional_call

from ..integer import IntegerAttention, IntegerBlock, IntegerMlp, IntegerViT
from ..quantization.codes.quantity import Quantity, check_scale
from ..quantization.lowering.build import build_context, build_gelu, build_norm, build_pos_embed, build_scores
from ..quantization.lowering.linear import LinearDraft
from ..quantization.lowering.lowered import Lowered, logit_info
from ..quantization.lowering.weights import GROUP
from ..tensors import Linear, linears, tapped, tensor, tensors
from .oscillation import Freezer
from .straight import replace_learned, replaced

__all__ = ["QuantizedTraining"]

_MARGIN = 0.9  # of what is rounded to a code: how far a weight may start from the code that calibration gave it
_FIXED = ("pixels", "probabilities", "residual", "logits")  # kinds of tensors whose scales are not learned


def _key(name: str) -> str:
    return name.replace(".", "_")  # names of parameters must not contain dots


class QuantizedTraining(nn.Module):
    """A ViT whose forward pass computes what its integer model computes, and that learns by straight-through gradients.

    Each call lowers the present parameters to an :class:`~vitric.golden.integer.IntegerViT`, runs it on the images,
    and evaluates the float network with every tapped tensor replaced by the real value of the integer model's codes.
    So softmax, LayerNorm, GELU, requantization and saturation are those of the hardware during training, and lowering
    the trained model changes nothing. Backward, each tensor has the gradient of the float network, with learned step
    sizes (:func:`~vitric.golden.qat.straight.replace_learned`).

    Learned are the float parameters, the weights' scales, and the scales of all activations but probabilities,
    residual stream and logits; zero points and offsets stay as calibration chose them.

    Parameters
    ----------
    lowered : Lowered
        The starting point, from post-training quantization.
    freezer : Freezer, optional
        Holds weights that oscillate.

    Raises
    ------
    ValueError
        The method of ``lowered`` has power-of-two scales, which are not learned, or there is a distillation token.
    """

    def __init__(self, lowered: Lowered, freezer: Freezer | None = None):
        super().__init__()
        self.start, self.freezer = lowered, freezer
        self.settings = next(iter(lowered.drafts.values())).settings
        if self.settings.recipe.power_of_two:
            raise ValueError(f"method must be one without power-of-two scales, not {self.settings.method!r}")
        if lowered.source.config.distilled:
            raise ValueError("the model to fine-tune must have one head, not one for the distillation token as well")
        self.config = config = lowered.source.config
        if config.distilled:
            raise ValueError("a model with a distillation token cannot be trained with its roundings, only quantized")
        self._names = frozenset(self._learned())
        self.layers = tuple(linears(config))
        self.network = copy.deepcopy(lowered.source).to(torch.float32).requires_grad_(True)
        with torch.no_grad():
            for layer in self.layers:
                self._start_layer(layer)
        self.weight_scales = nn.ParameterDict({
            _key(layer.name): nn.Parameter(torch.zeros(self._weight_groups(layer))) for layer in self.layers})
        self.scales = nn.ParameterDict({
            _key(name): nn.Parameter(torch.zeros(self._groups(name))) for name in self._learned()})

    def _learned(self) -> list[str]:
        return [tensor.name for tensor in tensors(self.config) if tensor.kind not in _FIXED]

    def _groups(self, name: str) -> int:
        """Return how many scales of a tensor are learned: those that the layers around it let differ."""
        kind = tensor(name).kind
        if kind in ("queries", "keys"):
            return self.config.num_heads
        scale = self.start.quantities[name].scale
        free = kind == "values" or self.settings.recipe.channels == "free"
        return scale.numel() if free and scale.dim() else 1

    def _weight_groups(self, layer: Linear) -> int:
        rows = len(self.start.drafts[layer.name].weight)
        return {"layer": 1, "group": -(-rows // GROUP), "channel": rows}[self.settings.granularity]

    def _start_layer(self, layer: Linear) -> None:
        """Move the float weights to where the codes that calibration chose are their nearest."""
        draft, (module, rows) = self.start.drafts[layer.name], self._own(layer)
        weight = module.weight[rows].flatten(1)
        step = draft.unit[:, None] / draft.source.scale  # real weight per step of the code
        steps = weight.to(torch.float64) / step
        margin = _MARGIN * draft.codes.reach
        steps = draft.weight + (steps - draft.weight).clamp(-margin, margin)
        weight.copy_(steps * step)
        bias = draft.bias - (steps * step) @ draft.source.offset.expand(weight.shape[1])
        if module.bias is None:
            module.bias = nn.Parameter(torch.zeros(len(module.weight)))
        module.bias[rows] = bias.to(torch.float32)

    def _own(self, layer: Linear) -> tuple[nn.Module, slice]:
        """Return the module of the float network that holds a layer's weights, and which rows of them are its own."""
        module = self.network.get_submodule(layer.module)
        return module, layer.rows(len(module.weight))

    def quantities(self) -> dict[str, Quantity]:
        """Return what the codes of each tensor stand for, with the present scales."""
        result = dict(self.start.quantities)
        for name in self._learned():
            quantity = result[name]
            growth = self._expanded(name).detach().to(torch.float64).exp()
            result[name] = replace(quantity, scale=check_scale(name, quantity.scale * growth))
        return result

    def _expanded(self, name: str) -> torch.Tensor:
        """Return the logarithm of a tensor's change of scale, () or (N,)."""
        scale, change = self.start.quantities[name].scale, self.scales[_key(name)]
        return change.repeat_interleave(scale.numel() // len(change)).reshape(scale.shape)

    def _expanded_weight(self, layer: Linear) -> torch.Tensor:
        change, rows = self.weight_scales[_key(layer.name)], len(self.start.drafts[layer.name].weight)
        return change.repeat_interleave(-(-rows // len(change)))[:rows, None]

    def drafts(self, quantities: dict[str, Quantity]) -> dict[str, LinearDraft]:
        """Return the linear layers with the present weights, rounded to the nearest codes unless they are frozen."""
        result = {}
        for layer in self.layers:
            start, source = self.start.drafts[layer.name], quantities[layer.source]
            module, rows = self._own(layer)
            weight = module.weight[rows].detach().flatten(1).to(torch.float64)
            unit = start.unit * self._expanded_weight(layer)[:, 0].detach().to(torch.float64).exp()
            check_scale(layer.name, unit)
            codes = start.codes.encode(weight * source.scale, unit[:, None], torch.tensor(0))
            if self.freezer is not None:
                codes = self.freezer(layer.name, codes, learning=self.training)
            bias = module.bias[rows].detach().to(torch.float64) + weight @ source.offset.expand(weight.shape[1])
            result[layer.name] = replace(start, weight=codes, unit=unit, bias=bias, source=source)
        return result

    @torch.no_grad()
    def lower(self) -> Lowered:
        """Return the integer model of the present parameters, and what its integers stand for."""
        quantities = self.quantities()
        drafts = self.drafts(quantities)
        start, before = self.start.model, self.start.quantities["patch_embed"]
        patch_embed, residual = drafts["patch_embed"].lower(before), before
        norm_pre = pre_proj = None
        if self.config.pre_norm:
            residual = self.start.quantities["pre_proj"]
            norm_pre = build_norm(self.network.norm_pre, quantities["norm_pre"], self.settings, self.config)
            pre_proj = drafts["pre_proj"].lower(residual)
        model = IntegerViT(
            config=self.config, patch_embed=patch_embed, pos_embed=build_pos_embed(self.network, patch_embed, before),
            norm_pre=norm_pre, pre_proj=pre_proj,
            blocks=tuple(self._block(index, quantities, drafts, residual) for index in range(self.config.depth)),
            norm=build_norm(self.network.norm, quantities["norm"], self.settings, self.config),
            head=drafts["head"].lower(quantities["head"]), residual_bits=start.residual_bits,
            a_plane_bits=start.a_plane_bits, w_plane_bits=start.w_plane_bits, info=start.info | logit_info(quantities))
        return Lowered(model=model, quantities=quantities, drafts=drafts, context_bias=self.start.context_bias,
                       source=self.network)

    def _block(self, index: int, quantities: dict[str, Quantity], drafts: dict[str, LinearDraft],
               residual: Quantity) -> IntegerBlock:
        name, block, start = f"blocks.{index}", self.network.blocks[index], self.start.model.blocks[index]
        q, k, v, out = (quantities[f"{name}.attn.{part}"] for part in ("q", "k", "v", "context"))
        scaling = build_scores(f"{name}.attn.scores", q, k, self.config.num_heads, start.attn.softmax_spec,
                               self.settings)
        context = build_context(f"{name}.attn.context", quantities[f"{name}.attn.softmax"], v,
                                self.start.context_bias[f"{name}.attn.context"], out, self.config.num_tokens,
                                self.settings)
        attention = IntegerAttention(
            **{part: drafts[f"{name}.attn.{part}"].lower(quantities[f"{name}.attn.{part}"]) for part in "qkv"},
            score_multiplier=scaling.multiplier, score_pre_shift=scaling.pre_shift, score_shift=scaling.shift,
            softmax_offset=start.attn.softmax_offset, softmax_spec=start.attn.softmax_spec,
            softmax_bits=start.attn.softmax_bits, softmax_table=start.attn.softmax_table, context=context,
            proj=drafts[f"{name}.attn.proj"].lower(residual))
        index_codes, hidden = quantities[f"{name}.mlp.fc1"], quantities[f"{name}.mlp.act"]
        table = build_gelu(index_codes, hidden, self.config)
        mlp = IntegerMlp(fc1=drafts[f"{name}.mlp.fc1"].lower(index_codes), gelu=table,
                         fc2=drafts[f"{name}.mlp.fc2"].lower(residual))
        norm1, norm2 = (build_norm(norm, quantities[f"{name}.{part}"], self.settings, self.config)
                        for part, norm in (("norm1", block.norm1), ("norm2", block.norm2)))
        return IntegerBlock(norm1=norm1, attn=attention, norm2=norm2, mlp=mlp, residual_bits=start.residual_bits)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map pixel codes, integers [B, C, S, S], to the real values of the integer model's logits [B, classes]."""
        lowered, trace = self.lower(), {}
        with torch.no_grad():
            lowered.model(images, trace, every_token=True)

        def tap(name: str, x: torch.Tensor) -> torch.Tensor:
            if (known := tapped(name)) is None:
                return x
            quantity = lowered.quantities[known.name]
            y = known.to_trace(x.to(torch.float32), self.config.num_head_tokens)
            codes = trace[known.name] if known.traced else quantity.encode(y.detach())
            if known.kind == "context":
                y = y + self._context_correction(known.name, lowered, trace)
            value = _decode(quantity, codes)
            if known.name in self._names:
                y = replace_learned(y, value, self._expanded(known.name), *_range(quantity), _real(quantity.offset))
            else:
                y = replaced(y, value)
            return known.from_trace(y, x.shape)

        return functional_call(self.network, self._rounded(lowered), (images, tap))

    def _context_correction(self, name: str, lowered: Lowered, trace: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return what the integer model's context has more than the product of probabilities and values, (B, T, E).

        Rounded probabilities do not sum to 1, so that the offset of the values does not come back exactly; the
        requantizer adds it as a constant.
        """
        layer = name.removesuffix(".context")
        p, v = lowered.quantities[f"{layer}.softmax"], lowered.quantities[f"{layer}.v"]
        sums = _decode(p, trace[f"{layer}.softmax"]).sum(-1).transpose(1, 2)  # (B, T, H)
        return _real(self.start.context_bias[name]) - sums.repeat_interleave(self.config.head_dim, 2) * _real(v.offset)

    def _rounded(self, lowered: Lowered) -> dict[str, torch.Tensor]:
        """Return weights and biases of the float network whose values are those of the integer model."""
        weights, biases = defaultdict(list), defaultdict(list)
        for layer in self.layers:
            draft, (module, rows) = lowered.drafts[layer.name], self._own(layer)
            weight, bias = module.weight[rows].flatten(1), module.bias[rows]
            scale, unit, codes = _real(draft.source.scale), _real(draft.unit)[:, None], draft.codes
            live = None if self.freezer is None else self.freezer.live(layer.name)
            rounded = replace_learned(
                weight * scale, draft.weight * unit, self._expanded_weight(layer), (codes.low - codes.reach) * unit,
                (codes.high + codes.reach) * unit, torch.zeros(()), live=live) / scale
            offset = _real(draft.source.offset).expand(weight.shape[1])
            weights[layer.module].append(rounded)
            biases[layer.module].append(bias + (weight - rounded) @ offset)
        result = {}
        for module, parts in weights.items():
            result[f"{module}.weight"] = torch.cat(parts).reshape(self.network.get_submodule(module).weight.shape)
            result[f"{module}.bias"] = torch.cat(biases[module])
        return result


def _real(x: torch.Tensor) -> torch.Tensor:
    return x.to(torch.float32)


def _decode(quantity: Quantity, codes: torch.Tensor) -> torch.Tensor:
    return (codes.to(torch.float32) - quantity.zero_point) * _real(quantity.scale) + _real(quantity.offset)


def _range(quantity: Quantity) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the real values half a step beyond the smallest and the largest code."""
    codes = quantity.codes
    return tuple(_real((end - quantity.zero_point) * quantity.scale + quantity.offset)
                 for end in (codes.low - 0.5, codes.high + 0.5))
