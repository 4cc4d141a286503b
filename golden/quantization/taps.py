"""Taps of the float model and tensors of the integer model's trace: the same things under other names and shapes."""

import torch

__all__ = ["from_trace", "to_trace", "traced"]

_NAMES = {
    "tokens": "patch_embed", "residual1": "attn.proj", "residual2": "mlp.fc2", "gelu": "act",
    **{name: name for name in ("norm1", "norm2", "q", "k", "v", "softmax", "context", "norm", "head")},
}


def traced(tap: str) -> str | None:
    """Return what the tensor of a tap is called in the trace of an integer model, ``None`` if it is not in there."""
    prefix, _, last = tap.rpartition(".")
    name = _NAMES.get(last)
    return name and (f"{prefix}.{name}" if prefix else name)


def to_trace(tap: str, x: torch.Tensor, prefix: int) -> torch.Tensor:
    """Return a tapped tensor in the shape it has in a trace.

    Queries, keys and values [B, H, T, D] become [B, T, E]; the norm of the ``prefix`` tokens with a head
    (:attr:`~vitric.golden.spec.vit.VitConfig.num_prefix_tokens`) and the head get a token axis.
    """
    if tap.endswith((".q", ".k", ".v")):
        return x.transpose(1, 2).flatten(2)
    if tap == "norm":
        return x.unflatten(1, (prefix, -1))
    return x[:, None] if tap == "head" else x


def from_trace(tap: str, y: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Return a tensor of a trace in the ``shape`` of its tap: the inverse of :func:`to_trace`."""
    if tap.endswith((".q", ".k", ".v")):
        return y.unflatten(2, (shape[1], -1)).transpose(1, 2)
    return y.reshape(shape)
