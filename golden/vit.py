"""The float Vision Transformer: timm's parameter names, so that a timm ViT or DeiT state dict loads unchanged.

Shapes are written at each line: B images, C channels, N patches, T tokens, E embedding channels, H heads,
D = E / H channels per head, M hidden channels of the MLP. T is N + 1, one more with a distillation token, and R more
with R registers.

**Taps.** Every call takes ``tap(name, tensor) -> tensor``. It sees each intermediate tensor once, in the order of
computation, and what it returns is used from there on: calibration records and returns the tensor, fake
quantization returns a rounded one. The names, with ``i`` counting blocks:

===========================  ==============  ================================================================
name                         shape           tensor
===========================  ==============  ================================================================
``patch_embed``              [B, N, E]       patch embedding with bias
``tokens``                   [B, T, E]       class token, (distillation token, registers,) patches,
                                             with position embedding
``norm_pre``                 [B, T, E]       with ``pre_norm``: input of ``pre_proj``
``pre_proj``                 [B, T, E]       with ``pre_norm``: the residual stream that enters block 0
``blocks.i.norm1``           [B, T, E]       input of ``attn.qkv``
``blocks.i.attn.q, k, v``    [B, H, T, D]    slices of ``attn.qkv``'s output, not scaled
``blocks.i.attn.scores``     [B, H, T, T]    Q·Kᵀ / sqrt(D)
``blocks.i.attn.softmax``    [B, H, T, T]    probabilities, the last axis sums to 1
``blocks.i.attn.context``    [B, T, E]       P·V, heads side by side: input of ``attn.proj``
``blocks.i.attn.proj``       [B, T, E]       output of ``attn.proj``
``blocks.i.residual1``       [B, T, E]       residual stream after attention
``blocks.i.norm2``           [B, T, E]       input of ``mlp.fc1``
``blocks.i.mlp.fc1``         [B, T, M]       output of ``mlp.fc1``
``blocks.i.mlp.gelu``        [B, T, M]       input of ``mlp.fc2``, whatever the activation
``blocks.i.mlp.fc2``         [B, T, E]       output of ``mlp.fc2``
``blocks.i.residual2``       [B, T, E]       residual stream after the block
``norm``                     [B, E]          class token after the final norm: input of ``head``; [B, 2·E] with a
                                             distillation token, which follows: input of ``head_dist``
``head``                     [B, classes]    logits; with a distillation token the mean of both heads'
===========================  ==============  ================================================================
"""

import copy
from collections.abc import Callable

import torch
from torch import nn

from .activation import ACTIVATIONS
from .data.images import check_images
from .spec.vit import PIXEL_MAX, VitConfig

__all__ = ["Tap", "VisionTransformer", "collect", "in_float32"]

Tap = Callable[[str, torch.Tensor], torch.Tensor]


def _pass(name: str, tensor: torch.Tensor) -> torch.Tensor:
    return tensor


def _under(tap: Tap, prefix: str) -> Tap:
    return lambda name, tensor: tap(f"{prefix}.{name}", tensor)


class PatchEmbed(nn.Module):
    """Linear map of each patch, written as timm does: a convolution whose stride is its kernel."""

    def __init__(self, config: VitConfig):
        super().__init__()
        self.proj = nn.Conv2d(config.in_chans, config.embed_dim, config.patch_size, stride=config.patch_size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map normalised images [B, C, S, S] to patches [B, N, E], row by row."""
        return self.proj(x).flatten(2).transpose(1, 2)  # [B, E, grid, grid] -> [B, E, N] -> [B, N, E]


class Attention(nn.Module):
    """Multi-head self-attention with the softmax written out, so that its parts can be tapped."""

    def __init__(self, config: VitConfig):
        super().__init__()
        self.num_heads, self.head_dim = config.num_heads, config.head_dim
        self.qkv = nn.Linear(config.embed_dim, 3 * config.embed_dim, bias=config.qkv_bias)
        self.proj = nn.Linear(config.embed_dim, config.embed_dim)

    def forward(self, x: torch.Tensor, tap: Tap = _pass) -> torch.Tensor:
        """Map [B, T, E] to [B, T, E]."""
        batch, tokens, embed = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.num_heads, self.head_dim)  # [B, T, 3, H, D]
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each [B, H, T, D]
        q, k, v = tap("q", q), tap("k", k), tap("v", v)
        scores = tap("scores", q @ k.transpose(-2, -1) * self.head_dim**-0.5)  # [B, H, T, T]
        probabilities = tap("softmax", scores.softmax(dim=-1))  # [B, H, T, T]
        context = (probabilities @ v).transpose(1, 2).reshape(batch, tokens, embed)  # [B, H, T, D] -> [B, T, E]
        return tap("proj", self.proj(tap("context", context)))  # [B, T, E]


class Mlp(nn.Module):
    """Two linear layers with GELU, the exact one or an approximation, between them."""

    def __init__(self, config: VitConfig):
        super().__init__()
        self.fc1 = nn.Linear(config.embed_dim, config.hidden_dim)
        self.fc2 = nn.Linear(config.hidden_dim, config.embed_dim)
        self.act = ACTIVATIONS[config.act_layer].of_tensor

    def forward(self, x: torch.Tensor, tap: Tap = _pass) -> torch.Tensor:
        """Map [B, T, E] to [B, T, E]."""
        hidden = tap("fc1", self.fc1(x))  # [B, T, M]
        hidden = tap("gelu", self.act(hidden))  # [B, T, M]
        return tap("fc2", self.fc2(hidden))  # [B, T, E]


class Block(nn.Module):
    """Pre-norm encoder block: ``x + attn(norm1(x))``, then ``x + mlp(norm2(x))``."""

    def __init__(self, config: VitConfig):
        super().__init__()
        self.norm1 = nn.LayerNorm(config.embed_dim, eps=config.layer_norm_eps)
        self.attn = Attention(config)
        self.norm2 = nn.LayerNorm(config.embed_dim, eps=config.layer_norm_eps)
        self.mlp = Mlp(config)

    def forward(self, x: torch.Tensor, tap: Tap = _pass) -> torch.Tensor:
        """Map [B, T, E] to [B, T, E]."""
        x = tap("residual1", x + self.attn(tap("norm1", self.norm1(x)), _under(tap, "attn")))  # [B, T, E]
        return tap("residual2", x + self.mlp(tap("norm2", self.norm2(x)), _under(tap, "mlp")))  # [B, T, E]


class VisionTransformer(nn.Module):
    """A ViT of any :class:`~vitric.golden.spec.vit.VitConfig`, from raw pixels to logits.

    Weights start as in timm (truncated normal of deviation 0.02, biases zero) and come from torch's global random
    generator.
    """

    def __init__(self, config: VitConfig):
        super().__init__()
        self.config = config
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.embed_dim))
        if config.distilled:
            self.dist_token = nn.Parameter(torch.zeros(1, 1, config.embed_dim))
        if config.reg_tokens:
            self.reg_token = nn.Parameter(torch.zeros(1, config.reg_tokens, config.embed_dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, config.num_tokens, config.embed_dim))
        self.patch_embed = PatchEmbed(config)
        if config.pre_norm:
            self.norm_pre = nn.LayerNorm(config.embed_dim, eps=config.layer_norm_eps)
            self.pre_proj = nn.Linear(config.embed_dim, config.embed_dim)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.embed_dim, eps=config.layer_norm_eps)
        self.head = nn.Linear(config.embed_dim, config.num_classes)
        if config.distilled:
            self.head_dist = nn.Linear(config.embed_dim, config.num_classes)
        self._initialise()

    def _initialise(self):
        nn.init.normal_(self.cls_token, std=1e-6)
        if self.config.distilled:
            nn.init.trunc_normal_(self.dist_token, std=0.02)
        if self.config.reg_tokens:
            nn.init.normal_(self.reg_token, std=1e-6)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        if self.config.pre_norm:
            nn.init.eye_(self.pre_proj.weight)

    def normalize(self, images: torch.Tensor) -> torch.Tensor:
        """Return ``(pixel / 255 - mean) / std`` as float32, shape kept: what the weights were trained on.

        ``images`` are pixel codes [B, C, S, S] of any dtype (augmented ones are not integers).
        """
        mean = torch.tensor(self.config.mean).reshape(-1, 1, 1)  # [C or 1, 1, 1]
        std = torch.tensor(self.config.std).reshape(-1, 1, 1)
        return (images.to(torch.float32) / PIXEL_MAX - mean) / std

    @property
    def prefix(self) -> torch.Tensor:
        """Tokens before the patches, without position embedding: [1, num_prefix_tokens, E]."""
        tokens = [self.cls_token, *([self.dist_token] if self.config.distilled else []),
                  *([self.reg_token] if self.config.reg_tokens else [])]
        return torch.cat(tokens, dim=1)

    def embed(self, x: torch.Tensor, tap: Tap = _pass) -> torch.Tensor:
        """Map normalised images [B, C, S, S] to tokens [B, T, E]."""
        x = tap("patch_embed", self.patch_embed(x.to(self.pos_embed.dtype)))  # [B, N, E]
        prefix = self.prefix.expand(len(x), -1, -1)  # [B, num_prefix_tokens, E]
        x = tap("tokens", torch.cat([prefix, x], dim=1) + self.pos_embed)  # [B, T, E]
        if not self.config.pre_norm:
            return x
        return tap("pre_proj", self.pre_proj(tap("norm_pre", self.norm_pre(x))))  # [B, T, E]

    def classify(self, x: torch.Tensor, tap: Tap = _pass) -> torch.Tensor:
        """Map the last block's output [B, T, E] to logits [B, num_classes]; only tokens with a head are used."""
        x = self.norm(x[:, :self.config.num_head_tokens])  # [B, 1 or 2, E]
        x = tap("norm", x.flatten(1))  # [B, E or 2·E]
        if not self.config.distilled:
            return tap("head", self.head(x))
        first, second = x.chunk(2, dim=1)
        return tap("head", (self.head(first) + self.head_dist(second)) / 2)

    def forward_normalized(self, x: torch.Tensor, tap: Tap = _pass) -> torch.Tensor:
        """Map normalised images [B, C, S, S] to logits [B, num_classes]."""
        x = self.embed(x, tap)  # [B, T, E]
        for index, block in enumerate(self.blocks):
            x = block(x, _under(tap, f"blocks.{index}"))  # [B, T, E]
        return self.classify(x, tap)

    def forward(self, images: torch.Tensor, tap: Tap = _pass) -> torch.Tensor:
        """Map pixel codes [B, C, S, S], integers 0 to 255, to logits [B, num_classes].

        Raises
        ------
        TypeError, ValueError
            ``images`` are not what the config takes (see :func:`~vitric.golden.data.images.check_images`).
        """
        check_images(images, self.config)
        return self.forward_normalized(self.normalize(images), tap)


@torch.no_grad()
def collect(model: VisionTransformer, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return every tapped tensor of ``model(images)`` by name, in the order of computation."""
    tensors = {}

    def record(name, tensor):
        tensors[name] = tensor
        return tensor

    model(images, record)
    return tensors


def in_float32(model: VisionTransformer) -> VisionTransformer:
    """Return ``model``, or a float32 copy if a weight has another type or was made in inference mode.

    Called outside of inference mode (``torch.inference_mode(False)``), so that autograd computes with the result.
    """
    if all(tensor.dtype == torch.float32 and not tensor.is_inference() for tensor in model.state_dict().values()):
        return model
    return copy.deepcopy(model).to(torch.float32)
