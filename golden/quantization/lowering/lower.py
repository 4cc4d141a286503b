"""From a float ViT and calibration images to an integer ViT, layer by layer.

Each layer is calibrated on what the integer layers before it compute, so that it sees, and where the method corrects
biases makes up for, their rounding; targets are the float model's tensors for the same images.
"""

import copy
from collections.abc import Sequence

import torch
from torch.nn import functional

from ...activation import ACTIVATIONS
from ...arith import lookup
from ...integer import IntegerAttention, IntegerBlock, IntegerLayerNorm, IntegerLinear, IntegerMlp, IntegerViT, patchify
from ...integer.layers import add_residual
from ...spec.vit import PIXEL_MAX
from ...tensors import linear, tensor
from ...vit import VisionTransformer
from ..codes.books import HIDDEN, fit_book
from ..codes.channels import CHANNELS
from ..codes.maps import CodeMap, SignedCodes, UnsignedCodes
from ..codes.observers import minmax
from ..codes.quantity import ENOUGH_SAMPLES, Channels, Quantity, observe
from ..codes.scales import FactorTooLarge
from ..settings import Settings
from .attention import context, lower_scores, probabilities
from .build import INDEX_BITS, build_gelu, build_norm, build_pos_embed, head_layer, pixel_quantity, side_by_side
from .calibration import Calibration, Progress
from .epsilon import check_epsilon
from .linear import LinearDraft, draft_linear
from .logit_range import clamp_logits
from .lowered import Lowered, logit_info
from .output_search import Layer, search_input
from .rotate import balance_heads
from .sensitivity import ELEMENTS, ROWS, Sensitivities

__all__ = ["lower"]

_HEADROOM = 1.5  # of the residual stream and the logits over their largest calibration value
_COARSEST = 64  # largest factor by which the residual stream's steps grow beyond that, for layers of few bits
_LARGEST_FACTOR = 128  # of the head's requantization, well below what the unit can do


class _Lowering:
    """State of one lowering: the residual stream of the calibration images, and what was chosen so far."""

    def __init__(self, calibration: Calibration, settings: Settings, coarseness: int):
        self.calibration, self.settings = calibration, settings
        self.float, self.config = calibration.model, calibration.model.config
        self.quantities: dict[str, Quantity] = {}
        self.drafts: dict[str, LinearDraft] = {}
        self.context_bias: dict[str, torch.Tensor] = {}
        self.residual = self._signed(calibration.largest * coarseness)
        self.before = self._signed(calibration.largest_before * coarseness)
        self.x = torch.zeros(0, dtype=torch.int64)

    def _signed(self, largest: float) -> Quantity:
        codes = SignedCodes(self.settings.arithmetic.residual_bits)
        scale = torch.tensor((largest or 1.0) * _HEADROOM / codes.high, dtype=torch.float64)
        if self.settings.recipe.power_of_two:
            scale = torch.exp2(torch.log2(scale).ceil())
        return Quantity(codes=codes, scale=scale, zero_point=0, offset=torch.zeros((), dtype=torch.float64))

    def observe(self, name: str, x: torch.Tensor, codes: CodeMap, *, channels: Channels | None = None,
                least: torch.Tensor | float = 0.0, readers: Sequence[Layer]) -> Quantity:
        """Choose the range of a tensor, which ``readers`` read, and remember it."""
        quantity = observe(name, x, codes, self.settings.recipe.observer, self.settings.generator, channels=channels,
                           least=least, importance=self.calibration.importance(tensor(name).tap, x.shape))
        self.quantities[name] = self.refine(quantity, x, readers, least)
        return self.quantities[name]

    def refine(self, quantity: Quantity, x: torch.Tensor, readers: Sequence[Layer],
               least: torch.Tensor | float = 0.0) -> Quantity:
        """Return the quantity of the input of some layers after the search that the method makes, if any."""
        settings = self.settings
        if not settings.recipe.output_search or not readers or x[..., 0].numel() < ENOUGH_SAMPLES:
            return quantity
        return search_input(quantity, x, readers, settings.granularity, settings.generator, least=least)

    def layer(self, name: str, weight: torch.Tensor, bias: torch.Tensor | None, target: torch.Tensor) -> Layer:
        """Return a float layer with what its output should be."""
        known, settings = linear(name), self.settings
        single = known.parts > 1 or settings.recipe.output_search  # the others' sensitivities are kept by token alone
        importance = self.calibration.importance(known.tap, target.shape if single else (*target.shape[:2], 1))
        bits = settings.bits(known.product).w
        return Layer.trained(name, weight, bias, target, importance, settings.weights(bits))

    def draft(self, layer: Layer, a: torch.Tensor, source: Quantity) -> LinearDraft:
        """Quantize the weights of a layer and remember them."""
        self.drafts[layer.name] = draft_linear(layer, a, source, self.settings)
        return self.drafts[layer.name]

    def add(self, layer: IntegerLinear, a: torch.Tensor, name: str) -> None:
        """Add a layer's output to the residual stream."""
        self.x = add_residual(self.x, layer(a), self.settings.arithmetic.residual_bits)
        self.quantities[name] = self.residual

    # Parts of the network

    def embedding(self) -> tuple[IntegerLinear, torch.Tensor]:
        """Return ``patch_embed`` and ``pos_embed``."""
        config, proj = self.config, self.float.patch_embed.proj
        pixels = patchify(self.calibration.images, config)
        self.quantities["input"] = source = pixel_quantity(config, PIXEL_MAX)
        patches = pixels[:, config.num_prefix_tokens:]
        layer = self.layer("patch_embed", proj.weight, proj.bias, self.calibration.patch_embed)
        layer = self.draft(layer, patches, source).lower(self.before)
        pos_embed = build_pos_embed(self.float, layer, self.before)
        self.x = pos_embed.expand(len(pixels), -1, -1)
        self.add(layer, pixels, "patch_embed")
        self.quantities |= {"pos_embed": self.before, "patch_embed": self.before}
        return layer, pos_embed

    def pre_norm(self) -> tuple[IntegerLayerNorm, IntegerLinear]:
        """Return ``norm_pre`` and ``pre_proj``, which make the residual stream anew."""
        proj = self.float.pre_proj
        layer = self.layer("pre_proj", proj.weight, proj.bias, self.calibration.pre_proj)
        norm = self.norm("norm_pre", self.float.norm_pre, self.x, self.settings.bits("pre_proj").a, [layer],
                         residual=self.before)
        a, self.x = norm(self.x), torch.zeros_like(self.x)
        self.quantities["pre_zero"] = self.residual
        lowered = self.draft(layer, a, self.quantities["norm_pre"]).lower(self.residual)
        self.add(lowered, a, "pre_proj")
        return norm, lowered

    def norm(self, name: str, norm: torch.nn.LayerNorm, x: torch.Tensor, bits: int, readers: Sequence[Layer] = (),
             residual: Quantity | None = None) -> IntegerLayerNorm:
        """Return the LayerNorm of residual values ``x``, which ``readers`` read."""
        residual = residual or self.residual
        gamma, beta = norm.weight.detach().to(torch.float64), norm.bias.detach().to(torch.float64)
        y = functional.layer_norm(residual.decode(x), gamma.shape, gamma, beta, norm.eps)
        spec = self.settings.layernorm(self.config)
        out = self.observe(name, y, UnsignedCodes(bits), channels=CHANNELS[self.settings.recipe.channels],
                           readers=readers, least=gamma.abs() / (1 << spec.gamma_bits - spec.gamma_fraction - 2))
        check_epsilon(name, norm.eps, residual.decode(x), (y - beta) / out.scale)
        return build_norm(norm, out, self.settings, self.config)

    def attention_layers(self, name: str, attn: torch.nn.Module, taps: dict[str, torch.Tensor],
                         target: torch.Tensor) -> dict[str, Layer]:
        """Return the layers ``q``, ``k``, ``v`` and ``proj``; ``target`` is of the last one's output."""
        biases = [None] * 3 if attn.qkv.bias is None else attn.qkv.bias.chunk(3)
        layers = {part: self.layer(f"{name}.{part}", weight, bias, taps[f"attn.{part}"])
                  for part, weight, bias in zip("qkv", attn.qkv.weight.chunk(3), biases, strict=True)}
        return layers | {"proj": self.layer(f"{name}.proj", attn.proj.weight, attn.proj.bias, target)}

    def attention(self, name: str, a: torch.Tensor, source: Quantity, parts: dict[str, Layer],
                  target: torch.Tensor) -> tuple[IntegerAttention, torch.Tensor]:
        """Return the attention layer and the codes of its context; ``target`` is the float model's context."""
        settings = self.settings
        drafts = {part: self.draft(parts[part], a, source) for part in "qkv"}
        spec = settings.softmax(self.config)
        importance = {part: self.calibration.importance(f"{name}.{part}", a.shape) for part in "qkv"}
        real = {part: draft(a) for part, draft in drafts.items()}
        scores = lower_scores(name, real, importance, self.config.num_heads, spec, settings)
        layers = {part: drafts[part].lower(scores.quantities[part]) for part in "qkv"}
        codes = {part: layer(a) for part, layer in layers.items()}
        p = probabilities(f"{name}.softmax", codes["q"], codes["k"], scores, spec, settings)
        weight = self.calibration.importance(f"{name}.context", a.shape)
        out, bias, requantizer, mixed = context(
            f"{name}.context", p, codes["v"], scores.quantities["v"], target, weight, settings,
            lambda found, x: self.refine(found, x, [parts["proj"]]))
        self.quantities |= {f"{name}.{part}": quantity for part, quantity in scores.quantities.items()}
        self.quantities |= {f"{name}.softmax": p.quantity, f"{name}.context": out}
        self.context_bias[f"{name}.context"] = bias
        proj = self.draft(parts["proj"], mixed, out)
        return IntegerAttention(
            **layers, score_multiplier=scores.scaling.multiplier, score_pre_shift=scores.scaling.pre_shift,
            score_shift=scores.scaling.shift, softmax_offset=p.offset,
            softmax_spec=spec, softmax_bits=p.quantity.codes.bits, softmax_table=p.table, context=requantizer,
            proj=proj.lower(self.residual)), mixed

    def hidden(self, name: str, x: torch.Tensor, reader: Layer) -> Quantity:
        """Choose the codes of GELU's outputs, which ``reader`` reads, and remember them."""
        recipe, settings = self.settings.recipe, self.settings
        candidates = HIDDEN[recipe.hidden](settings.bits(tensor(name).product).a, settings.arithmetic.a_bits)
        if len(candidates) == 1:
            return self.observe(name, x, candidates[0], readers=[reader])
        importance = self.calibration.importance(tensor(name).tap, x.shape)
        quantity = fit_book(name, x, candidates, recipe.observer, importance, settings.generator)
        self.quantities[name] = self.refine(quantity, x, [reader])
        return self.quantities[name]

    def mlp(self, name: str, a: torch.Tensor, source: Quantity, first: Layer,
            second: Layer) -> tuple[IntegerMlp, torch.Tensor]:
        """Return the MLP and the codes of its hidden tensor."""
        settings, activation = self.settings, ACTIVATIONS[self.config.act_layer]
        fc1 = self.draft(first, a, source)
        hidden = fc1(a)
        out = self.hidden(f"{name}.act", activation.of_tensor(hidden), second)
        top = float(out.decode(torch.tensor(out.codes.high)))
        index = self.quantities[f"{name}.fc1"] = observe(
            f"{name}.fc1", hidden.clamp(activation.flat, max(top, 0.0)), UnsignedCodes(INDEX_BITS),
            settings.recipe.fitted(minmax), settings.generator)
        table = build_gelu(index, out, self.config)
        layer = fc1.lower(index)
        hidden = lookup(table, layer(a))
        fc2 = self.draft(second, hidden, out)
        return IntegerMlp(fc1=layer, gelu=table, fc2=fc2.lower(self.residual)), hidden

    def block(self, index: int) -> IntegerBlock:
        """Return an encoder block and advance the residual stream."""
        name, block, bits = f"blocks.{index}", self.float.blocks[index], self.settings.bits
        taps = self.calibration.block(index)
        target = taps["attn.proj"].to(torch.float64) - self.residual.decode(self.x)
        parts = self.attention_layers(f"{name}.attn", block.attn, taps, target)
        norm1 = self.norm(f"{name}.norm1", block.norm1, self.x, bits(f"{name}.attn.qkv").a,
                          [parts[part] for part in "qkv"])
        attn, a = self.attention(f"{name}.attn", norm1(self.x), self.quantities[f"{name}.norm1"], parts,
                                 taps["attn.context"])
        self.add(attn.proj, a, f"{name}.attn.proj")
        fc1, fc2 = block.mlp.fc1, block.mlp.fc2
        first = self.layer(f"{name}.mlp.fc1", fc1.weight, fc1.bias, taps["mlp.fc1"])
        target = taps["mlp.fc2"].to(torch.float64) - self.residual.decode(self.x)
        second = self.layer(f"{name}.mlp.fc2", fc2.weight, fc2.bias, target)
        norm2 = self.norm(f"{name}.norm2", block.norm2, self.x, bits(f"{name}.mlp.fc1").a, [first])
        mlp, a = self.mlp(f"{name}.mlp", norm2(self.x), self.quantities[f"{name}.norm2"], first, second)
        self.add(mlp.fc2, a, f"{name}.mlp.fc2")
        return IntegerBlock(norm1=norm1, attn=attn, norm2=norm2, mlp=mlp,
                            residual_bits=self.settings.arithmetic.residual_bits)

    def head(self) -> tuple[IntegerLayerNorm, IntegerLinear]:
        """Return the final norm and the head, on the tokens that have one, side by side."""
        prefix = self.config.num_head_tokens
        tokens = self.x[:, :prefix]
        norm = self.norm("norm", self.float.norm, tokens, self.settings.bits("head").a)
        a = norm(tokens).flatten(1)[:, None]
        weight, bias = head_layer(self.float)
        bias, logits = clamp_logits(bias, self.calibration.head[:, None])
        layer = self.layer("head", weight, bias, logits)
        draft = self.draft(layer, a, side_by_side(self.quantities["norm"], prefix))
        largest = torch.maximum(logits.abs().max().to(torch.float64), draft(a).abs().max())
        coarse = draft.unit.max() * self.residual.codes.high / _LARGEST_FACTOR  # few bits: large steps
        self.quantities["head"] = out = self._signed(float(torch.maximum(largest, coarse)))
        return norm, draft.lower(out)


def lower(model: VisionTransformer, images: torch.Tensor, settings: Settings, info: dict[str, str],
          progress: Progress | None = None) -> Lowered:
    """Calibrate and lower ``model``: arguments checked by :func:`vitric.golden.quantization.quantize`."""
    say = progress or (lambda part, done, total: None)
    model = copy.deepcopy(model).to(torch.float64)  # in float32 the last bits, CPU by CPU, round weights otherwise
    if settings.recipe.balance_heads:
        model = balance_heads(model, images)
    sensitivities = None
    if settings.recipe.sensitivity:
        sensitivities = Sensitivities(model, images, settings.generator,
                                      lambda done: say("sensitivities", done, len(images)),
                                      elements=(*ELEMENTS, *ROWS) if settings.recipe.output_search else ELEMENTS)
    calibration = Calibration(model, images, sensitivities)
    coarseness = 1
    while True:
        try:
            return _lower(_Lowering(calibration, settings, coarseness), info, say)
        except FactorTooLarge:
            if coarseness == _COARSEST:
                raise
            coarseness *= 2


@torch.no_grad()
def _lower(work: _Lowering, info: dict[str, str], say: Progress) -> Lowered:
    settings, depth = work.settings, work.config.depth
    patch_embed, pos_embed = work.embedding()
    norm_pre, pre_proj = work.pre_norm() if work.config.pre_norm else (None, None)
    blocks = []
    for index in range(depth):
        say("blocks", index, depth)
        blocks.append(work.block(index))
    say("blocks", depth, depth)
    norm, head = work.head()
    integer = IntegerViT(
        config=work.config, patch_embed=patch_embed, pos_embed=pos_embed, blocks=tuple(blocks), norm=norm, head=head,
        residual_bits=settings.arithmetic.residual_bits, a_plane_bits=settings.arithmetic.a_bits,
        w_plane_bits=settings.arithmetic.w_bits, info=info | logit_info(work.quantities), norm_pre=norm_pre,
        pre_proj=pre_proj)
    return Lowered(model=integer, quantities=work.quantities, drafts=work.drafts,
                   context_bias=work.context_bias, source=work.float)
