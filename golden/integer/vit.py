"""The integer ViT: what the hardware computes, in PyTorch, on integer tensors only."""

from dataclasses import dataclass

import torch

from ..arith import assert_fits, assert_integer
from ..data.images import check_images
from ..spec.vit import VitConfig
from .layers import IntegerBlock, IntegerLayerNorm, IntegerLinear, add_residual

__all__ = ["IntegerViT", "patchify"]


def patchify(images: torch.Tensor, config: VitConfig) -> torch.Tensor:
    """Return the pixel codes of each token: (B, C, H, W) integers to (B, T, C*p*p) int64.

    Channels of a patch are in the order of the flattened convolution weight (channel, row, column). The tokens before
    the patches are all zero.
    """
    B, C, p = images.shape[0], config.in_chans, config.patch_size
    side = config.image_size // p
    x = images.to(torch.int64).reshape(B, C, side, p, side, p).permute(0, 2, 4, 1, 3, 5)
    x = x.reshape(B, side * side, C * p * p)
    prefix = torch.zeros(B, config.num_prefix_tokens, x.shape[2], dtype=torch.int64)
    return torch.cat([prefix, x], dim=1)


class _Discard(dict):
    """A trace that nobody wants: keeps nothing, so that tensors can be freed."""

    def __setitem__(self, name, tensor):
        pass

    def update(self, tensors):
        pass


@dataclass(frozen=True, kw_only=True, eq=False)
class IntegerViT:
    """A quantized ViT: ``model(images)`` maps integer pixels to integer logits, with no float anywhere.

    Parameters
    ----------
    config : VitConfig
        Dimensions of the network.
    patch_embed : IntegerLinear
        (C*p*p → E) on 8-bit pixel codes, to signed residual values that are added to ``pos_embed``.
    pos_embed : int64 tensor, shape (T, E)
        Initial residual stream: position embedding, plus on the rows before the patches their token (class,
        distillation, registers) less ``patch_embed``'s output for an all-zero row (so that the array may treat every
        token alike).
    norm_pre, pre_proj : IntegerLayerNorm and IntegerLinear, optional
        With ``pre_norm``, on all tokens: their output replaces the residual stream, whose steps may be others from then
        on.
    blocks : tuple of IntegerBlock
    norm : IntegerLayerNorm
        Applied to the class token (and the distillation token) alone.
    head : IntegerLinear
        (E → classes, or 2·E → classes on both tokens side by side), to signed logits of ``residual_bits`` bits with one
        common scale.
    residual_bits : int
        Width of the residual stream.
    a_plane_bits, w_plane_bits : int
        Widths of the array ports that wider codes are split for.
    info : dict of str to str
        How the model was made: method, bit widths, calibration; not used by the arithmetic.
    """

    config: VitConfig
    patch_embed: IntegerLinear
    pos_embed: torch.Tensor
    blocks: tuple[IntegerBlock, ...]
    norm: IntegerLayerNorm
    head: IntegerLinear
    residual_bits: int
    a_plane_bits: int
    w_plane_bits: int
    info: dict[str, str]
    norm_pre: IntegerLayerNorm | None = None
    pre_proj: IntegerLinear | None = None

    def __post_init__(self):
        assert_integer(pos_embed=self.pos_embed)
        assert_fits("pos_embed", self.pos_embed, self.residual_bits)
        if not (self.norm_pre is not None) == (self.pre_proj is not None) == self.config.pre_norm:
            raise ValueError("norm_pre and pre_proj must be there if the config has pre_norm, and else not")

    def __call__(
        self, images: torch.Tensor, trace: dict[str, torch.Tensor] | None = None, *, every_token: bool = False,
    ) -> torch.Tensor:
        """Return logits, int64 (B, classes), of integer images (B, C, H, W) with values 0..255.

        ``trace``, if given, receives every tensor that the accelerator writes to memory, by name, each with the
        image as first axis: ``input`` (T, C*p*p); ``pos_embed`` and ``patch_embed`` (T, E) residual; with
        ``pre_norm`` also ``norm_pre`` (T, E), ``pre_zero``, zeros, and ``pre_proj`` (T, E) residual;
        ``blocks.N.norm1`` (T, E); ``blocks.N.attn.k`` and ``.v`` (T, E), ``.q`` and ``.context`` (Q, E) and
        ``.softmax`` (H, Q, T); ``blocks.N.attn.proj`` and ``blocks.N.mlp.fc2`` (Q, E), the residual stream after the
        addition; ``blocks.N.norm2`` (Q, E); ``blocks.N.mlp.act`` (Q, M); ``norm`` (P, E); ``head`` (1, classes).
        P is the number of tokens with a head, 1 or 2. Q is T, and P in the last block, of which nothing else is read;
        with ``every_token`` it is T there too, as in the float model, for the same logits.

        Raises
        ------
        ValueError, TypeError
            The images do not fit the configuration; the message names what and the legal values.
        """
        check_images(images, self.config)
        trace = _Discard() if trace is None else trace
        pixels = trace["input"] = patchify(images, self.config)
        x = trace["pos_embed"] = self.pos_embed.expand(len(images), -1, -1)
        x = trace["patch_embed"] = add_residual(x, self.patch_embed(pixels), self.residual_bits)
        if self.norm_pre is not None:
            a = trace["norm_pre"] = self.norm_pre(x)
            x = trace["pre_zero"] = torch.zeros_like(x)
            x = trace["pre_proj"] = add_residual(x, self.pre_proj(a), self.residual_bits)
        for index, block in enumerate(self.blocks):
            is_read_whole = every_token or index < len(self.blocks) - 1
            x = block(x, trace, f"blocks.{index}", None if is_read_whole else self.config.num_head_tokens)
        a = trace["norm"] = self.norm(x[:, :self.config.num_head_tokens])
        logits = trace["head"] = self.head(a.flatten(1)[:, None])
        return logits[:, 0]
