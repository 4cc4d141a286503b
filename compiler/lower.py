"""The layers of an integer ViT as the steps of a plan, in the order in which they run."""

from dataclasses import replace

import numpy as np
import torch
from vitric.golden.integer import IntegerAttention, IntegerViT
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import Target
from vitric.golden.spec.vit import VitConfig

from .layout import Activation, CompileError, Misfit, ceil_div
from .operands import residual_words
from .steps import Part, Plan

__all__ = ["image_bytes", "lower", "token_rows"]


def _attention(plan: Plan, name: str, attn: IntegerAttention, a: Activation, every: Part, read: Part,
               buffers: int) -> None:
    """Emit q, k, v, the heads and the projection; queries are those of ``read``, keys and values of ``every`` token."""
    spec, heads = plan.spec, attn.num_heads
    head_dim = len(attn.q.weight) // heads
    head_words = ceil_div(head_dim, spec.depth)
    head_width = head_words * spec.depth
    head_tiles = ceil_div(head_dim, spec.cols)
    plan.match("softmax", attn.softmax_spec.canonical, spec.softmax.canonical, name)
    channels = np.arange(heads * head_dim)
    offsets = channels // head_dim, channels % head_dim
    whole_words = offsets[0] * head_width + offsets[1]
    if head_dim % spec.depth:
        plan.match("zero_point", attn.k.requantizer.zero_point, 0, f"{name}.k (padded heads)")
    q, k = (plan.linear(f"{name}.{which}", layer, a, Target.CODES, part=part, out_map=whole_words,
                        positions=heads * head_width, zero_pad=which == "k")
            for which, layer, part in (("q", attn.q, read), ("k", attn.k, every)))
    v = plan.linear(f"{name}.v", attn.v, a, Target.CODES, part=every, transpose=True,
                    out_map=offsets[0] * head_tiles * spec.cols + offsets[1],
                    positions=heads * head_tiles * spec.cols)
    row_words = ceil_div(plan.tokens, spec.depth)
    rows = [plan.tensor(f"{name}.softmax", read.groups, row_words, attn.softmax_bits, plan.rows)
            for _ in range(min(buffers, heads))]
    context = plan.tensor(f"{name}.context", read.groups, heads * head_words, attn.proj.a_bits, whole_words)

    def scores(head: int) -> Activation:
        return plan.scores(
            f"{name}.softmax", head, q, k, rows[head % len(rows)], part=read, head_words=head_words, head_dim=head_dim,
            key_zero=attn.q.requantizer.zero_point, multiplier=int(attn.score_multiplier[head]),
            scaling=(int(attn.score_pre_shift[head]), int(attn.score_shift[head])), offset=attn.softmax_offset,
            table=attn.softmax_table)

    ahead = len(rows) - 1
    pending = [scores(head) for head in range(ahead)]
    for head in range(heads):
        if head + ahead < heads:
            pending.append(scores(head + ahead))
        context = plan.context(f"{name}.context", head, pending.pop(0), v, context, part=read, head_words=head_words,
                               head_dim=head_dim, requantizer=attn.context)
    plan.linear(f"{name}.proj", attn.proj, context, Target.RESIDUAL, part=read)


def token_rows(config: VitConfig, spec: AcceleratorSpec) -> np.ndarray:
    """Return the row that each token has in memory, int64 (T,).

    The distillation token goes to the first row of the second row group, and the patches before it move up. The two
    tokens with a head then are the same row of two row groups, which lie one after the other in activation memory: to
    the head they are one row of twice the channels.
    """
    rows = np.arange(config.num_tokens)
    if config.distilled:
        rows[1] = spec.rows
        rows[2:spec.rows + 1] = np.arange(1, spec.rows)
    return rows


def image_bytes(config: VitConfig, spec: AcceleratorSpec) -> int:
    """Return the bytes of an image at the input port: whole row groups, a byte for each pixel of a patch."""
    return ceil_div(config.num_tokens, spec.rows) * spec.rows * config.patch_dim


def _side_by_side(a: Activation, spec: AcceleratorSpec) -> Activation:
    """Return the same row of two row groups as one row of twice the channels."""
    channels = np.concatenate([a.channel_map, a.words * spec.depth + a.channel_map])
    return replace(a, words=2 * a.words, channel_map=channels)


def lower(model: IntegerViT, spec: AcceleratorSpec, probability_buffers: int, image_waits: bool) -> Plan:
    """Return the steps of the whole model.

    With ``image_waits`` the first LayerNorm waits until the image, the largest tensor of many networks, is no longer
    needed.
    """
    config, prefix = model.config, model.config.num_head_tokens
    if config.distilled and config.num_tokens <= spec.rows:
        raise CompileError(spec, [Misfit("rows", f"below {config.num_tokens}, the tokens", spec.rows,
                                         "distillation token (in the second row group)")])
    plan = Plan(spec, config.num_tokens, config.embed_dim, token_rows(config, spec))
    plan.need("max_tokens", config.num_tokens, spec.max_tokens, "tokens")
    plan.need("max_embed", config.embed_dim, spec.max_embed, "embed_dim")
    plan.need("max_classes", config.num_classes, spec.max_classes, "num_classes")
    plan.match("residual_bits", model.residual_bits, spec.residual_bits, "residual stream")
    every, read = Part(config.num_tokens, plan.groups), Part(prefix, prefix)  # one row group for each token with a head
    start = torch.zeros_like(model.pos_embed)
    start[torch.from_numpy(plan.rows)] = model.pos_embed
    a = plan.input("input", config.patch_dim, model.patch_embed.a_bits)
    plan.load("pos_embed", lambda: residual_words(start, plan.residual_columns, spec))
    plan.linear("patch_embed", model.patch_embed, a, Target.RESIDUAL, part=every)
    if model.norm_pre is not None:
        a = plan.norm("norm_pre", model.norm_pre, every)
        zeros = torch.zeros_like(start)
        plan.load("pre_zero", lambda: residual_words(zeros, plan.residual_columns, spec), behind=a.writer)
        plan.linear("pre_proj", model.pre_proj, a, Target.RESIDUAL, part=every)
    for number, block in enumerate(model.blocks):
        name = f"blocks.{number}"
        used = read if number == len(model.blocks) - 1 else every  # of the last block only these are read
        a = plan.norm(f"{name}.norm1", block.norm1, every, whole=image_waits and number == 0)
        _attention(plan, f"{name}.attn", block.attn, a, every, used, probability_buffers)
        a = plan.norm(f"{name}.norm2", block.norm2, used)
        a = plan.linear(f"{name}.mlp.act", block.mlp.fc1, a, Target.CODES, part=used, table=block.mlp.gelu,
                        table_bits=block.mlp.fc2.a_bits)
        plan.linear(f"{name}.mlp.fc2", block.mlp.fc2, a, Target.RESIDUAL, part=used)
    a = plan.norm("norm", model.norm, read)
    plan.linear("head", model.head, _side_by_side(a, spec) if config.distilled else a, Target.LOGITS, part=Part(1, 1),
                whole=config.distilled)
    return plan
