"""The layers of the integer ViT: frozen containers of integer parameters with one integer forward each.

Names and shapes: ``B`` images, ``T`` tokens, ``E`` embedding, ``H`` heads, ``hd`` head channels, ``M`` hidden.
Codes of activations are unsigned; weights, keys and values are signed and narrow (``-limit..limit``), made of
one or two digits of ``w_plane_bits`` bits. The residual stream is signed, ``residual_bits`` wide.
"""

from dataclasses import dataclass
from functools import cached_property

import torch

from ..arith import (
    assert_fits,
    assert_integer,
    integer_matmul,
    lookup,
    nearest_signed_code,
    saturate,
    signed_code_range,
    split_signed,
)
from ..spec.layernorm import LayerNormSpec
from ..spec.softmax import SoftmaxSpec
from .layernorm import layernorm
from .requantizer import Requantizer, requantize_scores
from .softmax import softmax

__all__ = ["IntegerAttention", "IntegerBlock", "IntegerLayerNorm", "IntegerLinear", "IntegerMlp",
           "accumulator_range"]


@dataclass(frozen=True, kw_only=True)
class IntegerLinear:
    """``requantizer(a @ weight.T)`` for unsigned codes ``a``.

    Parameters
    ----------
    weight : int64 tensor, shape (N, K)
        Signed narrow codes, each representable in the digits of ``w_bits`` on ``w_plane_bits``.
    w_bits, a_bits : int
        Width of the weight codes and of the input codes, 2..8.
    w_plane_bits : int
        Width of the array's weight port; codes wider than it have two digits.
    requantizer : Requantizer
    signed_codes : bool
        The output is a signed narrow code (keys and values) and is moved to the nearest legal value.
    out_bits : int
        Width of the output code, which decides how many digits a signed code has.
    """

    weight: torch.Tensor
    w_bits: int
    a_bits: int
    w_plane_bits: int
    requantizer: Requantizer
    out_bits: int
    signed_codes: bool = False

    def __post_init__(self):
        assert_integer(weight=self.weight)
        limit = signed_code_range(self.w_bits, self.w_plane_bits)
        if self.weight.numel() and int(self.weight.abs().max()) > limit:
            raise ValueError(f"weight must be between -{limit} and {limit} at {self.w_bits} bits, "
                             f"not {int(self.weight.abs().max())} in magnitude")

    @cached_property
    def acc_range(self) -> tuple[int, int]:
        """Least and largest value of the accumulator of any channel on its way: see :func:`accumulator_range`."""
        low, high = accumulator_range(self.weight, self.w_bits, self.a_bits, self.w_plane_bits)
        return int(low.min()), int(high.max())

    @property
    def acc_bound(self) -> int:
        """Largest magnitude of the accumulator before the bias."""
        limit = signed_code_range(self.w_bits, self.w_plane_bits)
        return self.weight.shape[1] * ((1 << self.a_bits) - 1) * limit

    def __call__(self, a: torch.Tensor) -> torch.Tensor:
        """Map codes (..., K) to codes (..., N)."""
        assert_fits("a", a, self.a_bits, signed=False)
        y = self.requantizer(integer_matmul(a, self.weight.T, bound=self.acc_bound))
        if self.signed_codes:
            y = nearest_signed_code(y, self.w_plane_bits, 1 if self.out_bits <= self.w_plane_bits else 2)
        return y


def accumulator_range(weight: torch.Tensor, w_bits: int, a_bits: int, w_plane_bits: int) -> torch.Tensor:
    """Return the least and the largest value that each channel's accumulator can take, int64 (2, N), inputs included.

    Any order of terms and of the code planes of both operands stays between the sum of all negative and the sum of all
    positive weight digits, each at its weight and times the largest input code; before its last Horner shift the
    accumulator is smaller still. For weights of two digits that is more than the largest dot product.

    Parameters
    ----------
    weight : int64 tensor (N, K)
    w_bits, a_bits, w_plane_bits : int
        Widths of the weight codes, of the input codes and of a weight digit.
    """
    digits = torch.stack(split_signed(weight, w_plane_bits, 1 if w_bits <= w_plane_bits else 2))
    top = torch.tensor([((1 << a_bits) - 1) << plane * w_plane_bits for plane in range(len(digits))])[:, None]
    return torch.stack([(digits.clamp(max=0).sum(2) * top).sum(0), (digits.clamp(min=0).sum(2) * top).sum(0)])


@dataclass(frozen=True, kw_only=True)
class IntegerLayerNorm:
    """LayerNorm of residual values to unsigned codes: :func:`vitric.golden.integer.layernorm.layernorm`.

    ``gamma`` and ``beta`` are int64, shape (E,); the zero point of the codes is folded into ``beta``. ``spec`` is
    that of the hardware unit; its codes are clamped to ``out_bits`` bits, which may be fewer than the unit's.
    """

    gamma: torch.Tensor
    beta: torch.Tensor
    spec: LayerNormSpec
    out_bits: int

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Map residual values (..., E) to codes (..., E)."""
        return saturate(layernorm(x, self.gamma, self.beta, self.spec), 0, (1 << self.out_bits) - 1)


@dataclass(frozen=True, kw_only=True)
class IntegerAttention:
    """Multi-head self-attention on codes; the projection's output is added to the residual stream by the block.

    All heads together have ``C`` channels: ``E``, or fewer where heads were pruned.

    Parameters
    ----------
    q, k, v : IntegerLinear
        (E → C). ``q`` gives unsigned codes with ``q.requantizer.zero_point``; ``k`` and ``v`` signed narrow codes.
    score_multiplier, score_pre_shift, score_shift : int64 tensors, shape (H,)
        Bring ``sum((q - zero_point) * k)`` to the softmax unit's octaves, one of each per head: ``sum(q * k)`` is the
        accumulator and ``-zero_point * sum(k) >> score_pre_shift`` the bias.
    softmax_offset : int
        Step of the probability code, see :func:`vitric.golden.integer.softmax.softmax`.
    softmax_spec : SoftmaxSpec
        That of the hardware unit.
    softmax_bits : int
        Width of the probability codes; codes are clamped to it, which may be narrower than the unit's.
    softmax_table : int64 tensor, shape (2**softmax_spec.out_bits,), optional
        Replaces the clamp: each code of the unit becomes the entry at its index, of ``softmax_bits`` bits. So
        probabilities may have any codes whose values are integers of so many steps: powers of two, two step sizes.
    context : Requantizer
        Of ``probabilities @ v``, channels in head order, shape (C,).
    proj : IntegerLinear
        (C → E), to signed residual values.
    """

    q: IntegerLinear
    k: IntegerLinear
    v: IntegerLinear
    score_multiplier: torch.Tensor
    score_pre_shift: torch.Tensor
    score_shift: torch.Tensor
    softmax_offset: int
    softmax_spec: SoftmaxSpec
    softmax_bits: int
    context: Requantizer
    proj: IntegerLinear
    softmax_table: torch.Tensor | None = None

    def __post_init__(self):
        if self.softmax_table is None:
            return
        assert_fits("softmax_table", self.softmax_table, self.softmax_bits, signed=False)
        if self.softmax_table.shape != (1 << self.softmax_spec.out_bits,):
            raise ValueError(f"softmax_table must have {1 << self.softmax_spec.out_bits} entries, "
                             f"not shape {tuple(self.softmax_table.shape)}")

    @property
    def num_heads(self) -> int:
        """Number of heads, H."""
        return self.score_multiplier.shape[0]

    def __call__(
        self, a: torch.Tensor, trace: dict[str, torch.Tensor], name: str, queries: int | None = None,
    ) -> torch.Tensor:
        """Map codes (B, T, E) to increments of the residual stream of the first tokens, (B, queries, E); default all.

        What reaches memory is recorded.
        """
        B, T, _ = a.shape
        H, C = self.num_heads, len(self.q.weight)
        q, k, v = self.q(a[:, :queries]), self.k(a), self.v(a)
        heads = [x.reshape(B, -1, H, C // H).transpose(1, 2) for x in (q, k, v)]  # (B, H, Q or T, hd)
        k_limit = signed_code_range(self.k.out_bits, self.k.w_plane_bits)
        bound = (C // H) * (1 << self.q.out_bits) * k_limit
        x = requantize_scores(
            integer_matmul(heads[0], heads[1].transpose(-2, -1), bound=bound),  # (B, H, Q, T)
            -self.q.requantizer.zero_point * heads[1].sum(-1), self.score_multiplier, self.score_pre_shift,
            self.score_shift, self.softmax_spec)
        p_high = (1 << self.softmax_bits) - 1
        p = softmax(x, self.softmax_spec, offset=self.softmax_offset)  # (B, H, Q, T)
        p = saturate(p, 0, p_high) if self.softmax_table is None else lookup(self.softmax_table, p)
        v_limit = signed_code_range(self.v.out_bits, self.v.w_plane_bits)
        bound = T * p_high * v_limit
        context = integer_matmul(p, heads[2], bound=bound)  # (B, H, Q, hd)
        context = self.context(context.transpose(1, 2).reshape(B, -1, C))
        trace.update({f"{name}.q": q, f"{name}.k": k, f"{name}.v": v,
                      f"{name}.softmax": p, f"{name}.context": context})
        return self.proj(context)


@dataclass(frozen=True, kw_only=True)
class IntegerMlp:
    """Two linear layers with a GELU table between them.

    ``fc1`` (E → M) gives unsigned table indices, ``gelu`` is the table (int64, 2**fc1.out_bits entries) of
    unsigned codes, ``fc2`` (M → E) gives signed residual values.
    """

    fc1: IntegerLinear
    gelu: torch.Tensor
    fc2: IntegerLinear

    def __post_init__(self):
        if self.gelu.shape != (1 << self.fc1.out_bits,):
            raise ValueError(f"gelu must have {1 << self.fc1.out_bits} entries, not shape {tuple(self.gelu.shape)}")

    def __call__(self, a: torch.Tensor, trace: dict[str, torch.Tensor], name: str) -> torch.Tensor:
        """Map codes (B, T, E) to increments of the residual stream (B, T, E)."""
        hidden = lookup(self.gelu, self.fc1(a))
        trace[f"{name}.act"] = hidden
        return self.fc2(hidden)


@dataclass(frozen=True, kw_only=True)
class IntegerBlock:
    """One pre-norm encoder block on the residual stream."""

    norm1: IntegerLayerNorm
    attn: IntegerAttention
    norm2: IntegerLayerNorm
    mlp: IntegerMlp
    residual_bits: int

    def __call__(
        self, x: torch.Tensor, trace: dict[str, torch.Tensor], name: str, queries: int | None = None,
    ) -> torch.Tensor:
        """Map residual values (B, T, E) to those of the first ``queries`` tokens (default all); additions saturate.

        All tokens have a key and a value; the others are read by nothing else and end here.
        """
        a = trace[f"{name}.norm1"] = self.norm1(x)
        increment = self.attn(a, trace, f"{name}.attn", queries)
        x = trace[f"{name}.attn.proj"] = add_residual(x[:, :queries], increment, self.residual_bits)
        a = trace[f"{name}.norm2"] = self.norm2(x)
        x = trace[f"{name}.mlp.fc2"] = add_residual(x, self.mlp(a, trace, f"{name}.mlp"), self.residual_bits)
        return x


def add_residual(x: torch.Tensor, increment: torch.Tensor, bits: int) -> torch.Tensor:
    """Return ``x + increment`` saturated to signed ``bits`` bits."""
    half = 1 << bits - 1
    return saturate(x + increment, -half, half - 1)
