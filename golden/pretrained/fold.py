"""What other ViTs have and the float model has not, folded into what it has, or refused in one line."""

import re
from collections.abc import Mapping
from math import isqrt

import torch

__all__ = ["check_supported", "fold"]

_REFUSED = {  # in names of tensors: what it is, and what it would take
    r"\b[qk]_norm\b": "norms of queries and keys (a LayerNorm per head behind the array)",
    r"relative_position|rel_pos": "a relative position bias (a bias for each score)",
    r"\brope\b|freqs|periods": "a rotary position embedding (queries and keys rotated behind the array)",
    r"\bw12\b|\bw3\b|weights_in|fc1_[gx]|\bswiglu": "a gated MLP (a product of two activations)",
    r"\battn_pool\b|head\.probe": "attention pooling (a query of its own after the last block)",
    r"\bfc_norm\b": "mean pooling before the final norm (means of the residual stream)",
    r"^(layers|stages)\.\d+\.(blocks|downsample)": "windows or stages (tokens that are merged on the way)",
    r"patch_embed\.(backbone|conv|seq)|\bstem\b": "a convolutional stem (more than one layer before the tokens)",
}
_TRAINING_ONLY = ("mask_token", "position_ids")
_POOLER = re.compile(r"(\w+\.)?pooler\.")


def check_supported(where: str, names: Mapping[str, object]) -> None:
    """Raise :exc:`ValueError` that says what a network has that the integer model cannot compute, by tensors' names."""
    for pattern, what in _REFUSED.items():
        if (name := next((name for name in names if re.search(pattern, name)), None)) is not None:
            raise ValueError(f"{where} has {what}, which is not supported: tensor {name}")


def _scaled(state: dict[str, torch.Tensor]) -> None:
    """Multiply what LayerScale (Touvron et al. 2021, "Going deeper") multiplies into the layer before it."""
    for block, number in {found.groups() for name in state if (found := re.fullmatch(r"(.+)\.ls([12])\.gamma", name))}:
        gamma = state.pop(f"{block}.ls{number}.gamma").to(torch.float32)
        layer = f"{block}.{'attn.proj' if number == '1' else 'mlp.fc2'}"
        for name, factor in ((f"{layer}.weight", gamma[:, None]), (f"{layer}.bias", gamma)):
            if name in state:
                state[name] = state[name].to(torch.float32) * factor


def _square(count: int) -> bool:
    return count > 0 and isqrt(count) ** 2 == count


def _positioned(state: dict[str, torch.Tensor], kind: str) -> None:
    """Give the tokens before the patches a position embedding of 0 where they have none.

    timm's DeiT III and its models with registers have one for the patches alone, Hugging Face's models with registers
    one for class token and patches.
    """
    pos_embed, embed = state["pos_embed"], state["pos_embed"].shape[2]
    registers = state["reg_token"].shape[1] if "reg_token" in state else 0
    heads = 1 + ("dist_token" in state)
    count = pos_embed.shape[1]
    if kind == "hugging face" and registers:
        parts = [pos_embed[:, :heads], pos_embed.new_zeros(1, registers, embed), pos_embed[:, heads:]]
    elif _square(count) and not (registers == 0 and _square(count - heads)):
        parts = [pos_embed.new_zeros(1, heads + registers, embed), pos_embed]
    else:
        return
    state["pos_embed"] = torch.cat(parts, dim=1)


def fold(state: Mapping[str, torch.Tensor], kind: str) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Return a state dict (timm's names) as the float model has it, and what was assumed.

    LayerScale is multiplied into ``attn.proj`` and ``mlp.fc2``; position embeddings are completed; without a head the
    class token's features become the logits, by a head that is the identity; the norm before the first block gets a
    ``pre_proj``. Biases that are not there are 0. Tensors for training alone are left out.
    """
    state = {name: tensor for name, tensor in state.items() if name.rpartition(".")[2] not in _TRAINING_ONLY}
    assumed = []
    _scaled(state)
    _positioned(state, kind)
    embed = state["pos_embed"].shape[2]
    if "norm_pre.weight" in state:
        state |= {"pre_proj.weight": torch.eye(embed), "pre_proj.bias": torch.zeros(embed)}
    if "patch_embed.proj.bias" not in state:  # CLIP
        state["patch_embed.proj.bias"] = torch.zeros(embed)
    if "head.weight" in state and "head.bias" not in state:  # CLIP's projection
        state["head.bias"] = torch.zeros(len(state["head.weight"]))
    if "head.weight" not in state and "norm.weight" in state:
        pooler = [name for name in state if _POOLER.match(name)]
        for name in pooler:
            del state[name]
        state |= {"head.weight": torch.eye(embed), "head.bias": torch.zeros(embed)}
        assumed.append(f"{embed} features of the class token as the result" + ", not the pooler's" * bool(pooler))
    return state, assumed
