"""The tensors and linear layers of a Vision Transformer: every name of each, and what it is, in one table.

A tensor has a name in the trace of an integer model and, mostly, one among the taps of the float model
(:mod:`vitric.golden.vit`); a few taps are outputs of layers that reach no memory of their own. Every tensor that is
quantized is an operand of exactly one product. Names of a block's parts begin with ``blocks.N.``.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from .spec.vit import VitConfig

if TYPE_CHECKING:
    import torch

__all__ = ["LINEARS", "PRODUCTS", "TENSORS", "Linear", "Tensor", "block_of", "linear", "linears", "short_name",
           "tapped", "tensor", "tensors"]

_BLOCK = re.compile(r"blocks\.(\d+)\.(.+)")


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """A tensor that an accelerator writes to memory, or the index of its code table.

    Attributes
    ----------
    name : str
        In the trace of an integer model.
    tap : str or None
        In the float model; None for what has no float counterpart of its own.
    block : bool
        Whether each block has one.
    layout : str
        Shape in a trace, and what the tap's differs by: ``"tokens"`` (B, T, N) as the tap; ``"heads"`` (B, T, E), of
        the tap [B, H, T, D]; ``"scores"`` (B, H, T, T) as the tap; ``"prefix"`` (B, P, E) for the P tokens with a head,
        of the tap [B, P·E]; ``"logits"`` (B, 1, N), of the tap [B, N].
    kind : str
        What its codes are: ``"pixels"``, ``"norm"``, ``"queries"``, ``"keys"``, ``"values"``, ``"probabilities"``,
        ``"context"``, ``"index"`` (of the code table), ``"hidden"``, ``"residual"`` or ``"logits"``.
    product, port : str or None
        The product that it is an operand of, and the array's port there: ``"a"`` (activations) or ``"w"`` (weights).
    traced : bool
        Whether it is in a trace: all but the index of the code table.
    """

    name: str
    tap: str | None
    block: bool = True
    layout: str = "tokens"
    kind: str
    product: str | None = None
    port: str | None = None
    traced: bool = True

    def to_trace(self, x: "torch.Tensor", prefix: int) -> "torch.Tensor":
        """Return a tapped tensor in the shape it has in a trace.

        ``prefix`` is the number of tokens with a head
        (:attr:`~vitric.golden.spec.vit.VitConfig.num_head_tokens`).
        """
        if self.layout == "heads":
            return x.transpose(1, 2).flatten(2)
        if self.layout == "prefix":
            return x.unflatten(1, (prefix, -1))
        return x[:, None] if self.layout == "logits" else x

    def from_trace(self, y: "torch.Tensor", shape: "torch.Size") -> "torch.Tensor":
        """Return a tensor of a trace in the ``shape`` of its tap: the inverse of :meth:`to_trace`."""
        if self.layout == "heads":
            return y.unflatten(2, (shape[1], -1)).transpose(1, 2)
        return y.reshape(shape)


@dataclass(frozen=True, kw_only=True)
class Linear:
    """A linear layer, or a third of ``attn.qkv``: what gets integer weights of its own.

    Attributes
    ----------
    name : str
    product : str
        The product that it is, or is a part of.
    module : str
        Its module in the float model.
    part, parts : int
        Which of so many equal groups of the module's output channels it is.
    source : str
        Tensor that it reads.
    output : str
        Tensor that it makes or adds to.
    tap : str
        Tap of its own output.
    block : bool
        Whether each block has one.
    """

    name: str
    product: str
    module: str
    part: int = 0
    parts: int = 1
    source: str
    output: str
    tap: str
    block: bool = True

    def rows(self, count: int) -> slice:
        """Return the output channels of the layer among the ``count`` of its module."""
        return slice(self.part * count // self.parts, (self.part + 1) * count // self.parts)


TENSORS = (
    Tensor(name="input", tap=None, block=False, kind="pixels", product="patch_embed", port="a"),
    Tensor(name="pos_embed", tap=None, block=False, kind="residual"),
    Tensor(name="patch_embed", tap="tokens", block=False, kind="residual"),
    Tensor(name="norm_pre", tap="norm_pre", block=False, kind="norm", product="pre_proj", port="a"),
    Tensor(name="pre_zero", tap=None, block=False, kind="residual"),
    Tensor(name="pre_proj", tap="pre_proj", block=False, kind="residual"),
    Tensor(name="norm1", tap="norm1", kind="norm", product="attn.qkv", port="a"),
    Tensor(name="attn.q", tap="attn.q", layout="heads", kind="queries", product="attn.scores", port="a"),
    Tensor(name="attn.k", tap="attn.k", layout="heads", kind="keys", product="attn.scores", port="w"),
    Tensor(name="attn.v", tap="attn.v", layout="heads", kind="values", product="attn.context", port="w"),
    Tensor(name="attn.softmax", tap="attn.softmax", layout="scores", kind="probabilities", product="attn.context",
           port="a"),
    Tensor(name="attn.context", tap="attn.context", kind="context", product="attn.proj", port="a"),
    Tensor(name="attn.proj", tap="residual1", kind="residual"),
    Tensor(name="norm2", tap="norm2", kind="norm", product="mlp.fc1", port="a"),
    Tensor(name="mlp.fc1", tap="mlp.fc1", kind="index", traced=False),
    Tensor(name="mlp.act", tap="mlp.gelu", kind="hidden", product="mlp.fc2", port="a"),
    Tensor(name="mlp.fc2", tap="residual2", kind="residual"),
    Tensor(name="norm", tap="norm", block=False, layout="prefix", kind="norm", product="head", port="a"),
    Tensor(name="head", tap="head", block=False, layout="logits", kind="logits"),
)
"""Every tensor in the order of computation, those of a block by the names below ``blocks.N``."""


def _same(name: str, source: str, output: str | None = None, **more: object) -> Linear:
    return Linear(**{"name": name, "product": name, "module": name, "source": source, "output": output or name,
                    "tap": name} | more)


LINEARS = (
    _same("patch_embed", "input", module="patch_embed.proj", block=False),
    _same("pre_proj", "norm_pre", block=False),
    *(_same(f"attn.{part}", "norm1", product="attn.qkv", module="attn.qkv", part=number, parts=3)
      for number, part in enumerate("qkv")),
    _same("attn.proj", "attn.context"),
    _same("mlp.fc1", "norm2"),
    _same("mlp.fc2", "mlp.act"),
    _same("head", "norm", block=False),
)
"""Every linear layer in the order of computation, those of a block by the names below ``blocks.N``."""

PRODUCTS = ("attn.qkv", "attn.scores", "attn.context", "attn.proj", "mlp.fc1", "mlp.fc2")
"""Products of an encoder block, in order of computation; ``patch_embed``, with ``pre_norm`` also ``pre_proj``, comes
before and ``head`` after all blocks."""

_PRE_NORM = ("norm_pre", "pre_zero", "pre_proj")  # what only networks with it have

Entry = TypeVar("Entry", Tensor, Linear)

_TENSORS = {one.name: one for one in TENSORS}
_TAPS = {one.tap: one for one in TENSORS if one.tap is not None}
_LINEARS = {one.name: one for one in LINEARS}


def short_name(name: str) -> str:
    """Return a name without its block: ``attn.q`` for ``blocks.3.attn.q``, any other as it is."""
    found = _BLOCK.fullmatch(name)
    return found[2] if found else name


def block_of(name: str) -> int | None:
    """Return the number of the block that a name belongs to; None outside blocks."""
    found = _BLOCK.fullmatch(name)
    return int(found[1]) if found else None


def _placed(entry: Entry, index: int) -> Entry:
    """Return the entry with the names of block ``index``."""
    names = ("name", "tap", "product") if isinstance(entry, Tensor) else (
        "name", "product", "module", "source", "output", "tap")
    return replace(entry, **{name: value and f"blocks.{index}.{value}"
                             for name in names for value in (getattr(entry, name),)})


def _find(table: dict[str, Entry], name: str) -> Entry | None:
    index, entry = block_of(name), table.get(short_name(name))
    if entry is None or entry.block != (index is not None):
        return None
    return entry if index is None else _placed(entry, index)


@cache
def tensor(name: str) -> Tensor:
    """Return the tensor called ``name`` in a trace, with all its names; :exc:`KeyError` if there is none."""
    if (found := _find(_TENSORS, name)) is None:
        raise KeyError(f"a Vision Transformer has no tensor {name!r}")
    return found


@cache
def tapped(tap: str) -> Tensor | None:
    """Return the tensor whose tap in the float model is ``tap``; None for the output of a layer that is none."""
    return _find(_TAPS, tap)


@cache
def linear(name: str) -> Linear:
    """Return the linear layer called ``name``, with all its names; :exc:`KeyError` if there is none."""
    if (found := _find(_LINEARS, name)) is None:
        raise KeyError(f"a Vision Transformer has no linear layer {name!r}")
    return found


def _all(table: tuple[Entry, ...], config: VitConfig, last: Callable[[Entry], bool]) -> Iterator[Entry]:
    outside = [entry for entry in table if not entry.block and (config.pre_norm or entry.name not in _PRE_NORM)]
    yield from (entry for entry in outside if not last(entry))
    for index in range(config.depth):
        yield from (_placed(entry, index) for entry in table if entry.block)
    yield from (entry for entry in outside if last(entry))


def tensors(config: VitConfig) -> Iterator[Tensor]:
    """Yield every tensor of a network with its whole names, in the order of computation."""
    yield from _all(TENSORS, config, lambda entry: entry.name in ("norm", "head"))


def linears(config: VitConfig) -> Iterator[Linear]:
    """Yield every linear layer of a network with its whole names, in the order of computation."""
    yield from _all(LINEARS, config, lambda entry: entry.name == "head")
