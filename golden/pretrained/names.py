"""Names of tensors: what Hugging Face calls the tensors that timm, and the float model here, call otherwise.

Hugging Face's files name blocks ``encoder.layer.N``, its models in memory (from version 5 of transformers on)
``layers.N``, with other names inside them; both are here. Query, key and value are three layers there and one here.
"""

import re
from collections.abc import Mapping

import torch

__all__ = ["KINDS", "bare_names", "image_encoder", "kind_of", "timm_names"]

KINDS = ("timm", "hugging face")
"""Whose names a file may use."""

_PATCHES = {"timm": ("patch_embed.proj.weight",),
            "hugging face": ("embeddings.patch_embeddings.projection.weight", "embeddings.patch_embedding.weight")}

_OUTSIDE = {
    "embeddings.cls_token": "cls_token", "embeddings.distillation_token": "dist_token",
    "embeddings.position_embeddings": "pos_embed", "embeddings.patch_embeddings.projection": "patch_embed.proj",
    "embeddings.register_tokens": "reg_token", "layernorm": "norm",
    "embeddings.class_embedding": "cls_token", "embeddings.position_embedding.weight": "pos_embed",  # CLIP
    "embeddings.patch_embedding": "patch_embed.proj", "pre_layrnorm": "norm_pre", "post_layernorm": "norm",
    "visual_projection": "head",
    "classifier": "head", "cls_classifier": "head", "distillation_classifier": "head_dist",
}
_INSIDE = {
    "layernorm_before": "norm1", "layernorm_after": "norm2",
    "attention.attention.query": "attn.q", "attention.attention.key": "attn.k", "attention.attention.value": "attn.v",
    "attention.q_proj": "attn.q", "attention.k_proj": "attn.k", "attention.v_proj": "attn.v",
    "self_attn.q_proj": "attn.q", "self_attn.k_proj": "attn.k", "self_attn.v_proj": "attn.v",
    "self_attn.out_proj": "attn.proj", "layer_norm1": "norm1", "layer_norm2": "norm2",
    "attention.output.dense": "attn.proj", "attention.o_proj": "attn.proj",
    "norm1": "norm1", "norm2": "norm2", "layer_scale1.lambda1": "ls1.gamma", "layer_scale2.lambda1": "ls2.gamma",
    "intermediate.dense": "mlp.fc1", "output.dense": "mlp.fc2", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2",
}
_PREFIXES = ("module.", "_orig_mod.", "model.")  # of DistributedDataParallel, torch.compile, Lightning
_MODEL = re.compile(r"^(vit|deit|vision_model|dinov2|dinov2_with_registers)\.")
_TEXTS = re.compile(r"text_|logit_scale$")
_BLOCK = re.compile(r"(?:encoder\.layers?|layers)\.(\d+)\.(.+)")


def bare_names(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a state dict without the prefixes that wrappers of a model put before the name of every tensor."""
    while prefix := next((p for p in _PREFIXES if state and all(name.startswith(p) for name in state)), None):
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return dict(state)


def image_encoder(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a state dict without the tensors for texts of a model of images and texts (CLIP)."""
    if not any(name.startswith("vision_model.") for name in state):
        return dict(state)
    return {name: tensor for name, tensor in state.items() if not _TEXTS.match(name)}


def kind_of(state: Mapping[str, torch.Tensor]) -> str | None:
    """Return whose names ``state`` uses, one of :data:`KINDS`, or ``None``: judged by its patch embedding."""
    if any(name in state for name in _PATCHES["timm"]):
        return "timm"
    return "hugging face" if any(name.endswith(_PATCHES["hugging face"]) for name in state) else None


def _renamed(name: str) -> str:
    """Return timm's name for one of Hugging Face's, or ``name`` if there is none."""
    short = _MODEL.sub("", name)
    for ending in (".weight", ".bias", ""):
        stem = short.removesuffix(ending)
        if not short.endswith(ending):
            continue
        if stem in _OUTSIDE:
            return _OUTSIDE[stem] + ending
        if (found := _BLOCK.fullmatch(stem)) and found[2] in _INSIDE:
            return f"blocks.{found[1]}.{_INSIDE[found[2]]}{ending}"
    return name


def timm_names(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a state dict with Hugging Face's names under timm's; tensors that have none keep their name.

    Query, key and value become one ``attn.qkv`` where all three are there.
    """
    renamed = {_renamed(name): tensor for name, tensor in state.items()}
    for name in ("cls_token", "pos_embed"):  # CLIP's have fewer axes
        if name in renamed and renamed[name].dim() < 3:
            renamed[name] = renamed[name].reshape(1, -1, renamed[name].shape[-1])
    for name in [name for name in renamed if re.search(r"\.attn\.q\.\w+$", name)]:
        parts = [re.sub(r"\.q(\.\w+)$", rf".{part}\1", name) for part in "qkv"]
        if all(part in renamed for part in parts):
            renamed[re.sub(r"\.q(\.\w+)$", r".qkv\1", name)] = torch.cat([renamed.pop(part) for part in parts])
    return renamed
