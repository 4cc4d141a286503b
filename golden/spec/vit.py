"""Dimensions of a Vision Transformer: what the float model, the compiler and the cycle model share."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from math import isfinite
from types import MappingProxyType

from .check import check_choice, check_int

__all__ = ["ACT_LAYERS", "PIXEL_MAX", "VIT_CONFIGS", "Product", "VitConfig", "vit_config"]

ACT_LAYERS = ("gelu", "gelu_tanh", "quick_gelu")
"""Activations of the MLP, by timm's names: the keys of :data:`~vitric.golden.activation.ACTIVATIONS`."""

PIXEL_MAX = 255
"""Largest pixel code: images are unsigned 8-bit integers everywhere."""


@dataclass(frozen=True, kw_only=True)
class Product:
    """Size of one kind of matrix product: ``heads`` products of (rows, terms) with (terms, columns), ``count`` times.

    Parameters
    ----------
    rows, terms, columns : int
        Rows of the first operand, length of a dot product, columns of the second operand.
    heads : int
        Such products side by side.
    count : int
        How often an image takes them: the blocks of the network, or 1.
    """

    rows: int
    terms: int
    columns: int
    heads: int = 1
    count: int = 1

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one of ``count``."""
        return self.heads * self.rows * self.terms * self.columns


@dataclass(frozen=True, kw_only=True)
class VitConfig:
    """A Vision Transformer with a class token and pre-norm blocks (ViT, DeiT).

    Parameters
    ----------
    image_size
        Height and width of an image in pixels, 1 to 1024; a multiple of ``patch_size``.
    patch_size
        Height and width of a patch in pixels, 1 to ``image_size``.
    in_chans
        Colour channels, 1 to 16.
    num_classes
        Logits, 1 to 65536.
    embed_dim
        Channels of the residual stream, 1 to 4096; a multiple of ``num_heads``.
    depth
        Encoder blocks, 1 to 64.
    num_heads
        Attention heads per block, 1 to 64.
    mlp_ratio
        ``hidden_dim / embed_dim``; the product must be an integer.
    qkv_bias
        Whether the linear layer of query, key and value has a bias.
    distilled
        Whether there is a distillation token, after the class token, with a head of its own; the logits are the mean of
        both heads' (Touvron et al. 2021, section 4).
    reg_tokens
        Register tokens, between those with a head and the patches, 0 to 64 (Darcet et al. 2024).
    act_layer
        Activation of the MLP, one of :data:`ACT_LAYERS`: the exact GELU, or its approximation by a hyperbolic tangent
        or by a logistic function.
    pre_norm
        Whether the tokens are normalised before the first block (CLIP). The hardware's residual stream is written by
        products alone, so a linear layer follows that norm, ``pre_proj``: an identity, unless it is trained.
    mean, std
        Pixel normalisation ``(pixel / 255 - mean) / std``: one number for all channels, or one per channel.
    layer_norm_eps
        Epsilon of every LayerNorm of the float model, above 0, up to 1; the integer one has none.

    Raises
    ------
    TypeError, ValueError
        A parameter is not of its type or not in its range; the message names it and the legal values.
    """

    image_size: int
    patch_size: int
    in_chans: int
    num_classes: int
    embed_dim: int
    depth: int
    num_heads: int
    mlp_ratio: float = 4.0
    qkv_bias: bool = True
    distilled: bool = False
    reg_tokens: int = 0
    act_layer: str = "gelu"
    pre_norm: bool = False
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)
    layer_norm_eps: float = 1e-6

    def __post_init__(self):
        check_int("image_size", self.image_size, 1, 1024)
        check_int("patch_size", self.patch_size, 1, self.image_size)
        check_int("in_chans", self.in_chans, 1, 16)
        check_int("num_classes", self.num_classes, 1, 65536)
        check_int("embed_dim", self.embed_dim, 1, 4096)
        check_int("depth", self.depth, 1, 64)
        check_int("num_heads", self.num_heads, 1, 64)
        check_choice("qkv_bias", self.qkv_bias, (False, True))
        check_choice("distilled", self.distilled, (False, True))
        check_int("reg_tokens", self.reg_tokens, 0, 64)
        check_choice("act_layer", self.act_layer, ACT_LAYERS)
        check_choice("pre_norm", self.pre_norm, (False, True))
        if self.image_size % self.patch_size:
            raise ValueError(
                f"image_size must be a multiple of patch_size, not {self.image_size} with patches of {self.patch_size}"
            )
        if self.embed_dim % self.num_heads:
            raise ValueError(
                f"embed_dim must be a multiple of num_heads, not {self.embed_dim} with {self.num_heads} heads"
            )
        self._check_mlp_ratio()
        for name in ("mean", "std"):
            self._check_statistics(name)
        if not isinstance(self.layer_norm_eps, int | float):
            raise TypeError(f"layer_norm_eps must be a number, not {self.layer_norm_eps!r}")
        if not 0 < self.layer_norm_eps <= 1:
            raise ValueError(f"layer_norm_eps must be above 0 and at most 1, not {self.layer_norm_eps!r}")

    def _check_mlp_ratio(self):
        if not isinstance(self.mlp_ratio, int | float):
            raise TypeError(f"mlp_ratio must be a number, not {self.mlp_ratio!r}")
        hidden = float(self.embed_dim * self.mlp_ratio)
        if not (isfinite(self.mlp_ratio) and self.mlp_ratio > 0 and hidden.is_integer()):
            raise ValueError(
                f"mlp_ratio must be positive and make embed_dim * mlp_ratio an integer, "
                f"not {self.mlp_ratio!r} with embed_dim {self.embed_dim}"
            )
        check_int("hidden_dim (embed_dim * mlp_ratio)", self.hidden_dim, 1, 16384)

    def _check_statistics(self, name):
        values = getattr(self, name)
        if not isinstance(values, tuple) or not all(isinstance(value, int | float) for value in values):
            raise TypeError(f"{name} must be a tuple of numbers, not {values!r}")
        if len(values) not in (1, self.in_chans):
            raise ValueError(f"{name} must hold 1 or in_chans = {self.in_chans} numbers, not {values!r}")
        low = 0.0 if name == "mean" else 1e-6
        if not all(low <= value <= 1.0 for value in values):
            raise ValueError(f"{name} must hold numbers between {low} and 1.0, not {values!r}")

    @property
    def grid_size(self) -> int:
        """Patches along one side of the image."""
        return self.image_size // self.patch_size

    @property
    def num_patches(self) -> int:
        """Patches of one image."""
        return self.grid_size**2

    @property
    def num_head_tokens(self) -> int:
        """Tokens with a head, the first ones: the class token and, if distilled, the distillation token."""
        return 1 + self.distilled

    @property
    def num_prefix_tokens(self) -> int:
        """Tokens before the patches: those with a head, then the registers."""
        return self.num_head_tokens + self.reg_tokens

    @property
    def num_tokens(self) -> int:
        """Tokens of one image: those with a head, the registers, then the patches."""
        return self.num_prefix_tokens + self.num_patches

    @property
    def patch_dim(self) -> int:
        """Pixels of one patch, all channels: the reduction length of the patch embedding."""
        return self.in_chans * self.patch_size**2

    @property
    def head_dim(self) -> int:
        """Channels of one attention head."""
        return self.embed_dim // self.num_heads

    @property
    def hidden_dim(self) -> int:
        """Channels between the two linear layers of the MLP."""
        return int(self.embed_dim * self.mlp_ratio)

    @property
    def block_elements(self) -> int:
        """Elements, per image, of the tensors that one block computes: what a chunk of images needs in memory."""
        tokens = self.num_tokens
        return tokens * (9 * self.embed_dim + 2 * self.hidden_dim) + 2 * self.num_heads * tokens**2

    @property
    def products(self) -> dict[str, Product]:
        """Matrix products of a network by name; those of a block by the name below ``blocks.N``.

        The linear layers see every token, except ``head``, which sees the class token (and the distillation token),
        and ``patch_embed``, which sees the patches; ``attn.scores`` is Q·Kᵀ and ``attn.context`` is P·V.
        """
        tokens, embed, hidden, head = self.num_tokens, self.embed_dim, self.hidden_dim, self.head_dim
        pre_proj = {"pre_proj": Product(rows=tokens, terms=embed, columns=embed)} if self.pre_norm else {}
        return {
            "patch_embed": Product(rows=self.num_patches, terms=self.patch_dim, columns=embed), **pre_proj,
            "attn.qkv": Product(rows=tokens, terms=embed, columns=3 * embed, count=self.depth),
            "attn.scores": Product(rows=tokens, terms=head, columns=tokens, heads=self.num_heads, count=self.depth),
            "attn.context": Product(rows=tokens, terms=tokens, columns=head, heads=self.num_heads, count=self.depth),
            "attn.proj": Product(rows=tokens, terms=embed, columns=embed, count=self.depth),
            "mlp.fc1": Product(rows=tokens, terms=embed, columns=hidden, count=self.depth),
            "mlp.fc2": Product(rows=tokens, terms=hidden, columns=embed, count=self.depth),
            "head": Product(rows=1, terms=self.num_head_tokens * embed, columns=self.num_classes),
        }

    @property
    def total_macs(self) -> int:
        """Multiply-accumulates per image."""
        return sum(product.count * product.macs for product in self.products.values())

    @property
    def num_parameters(self) -> int:
        """Trained numbers: weights, biases, tokens before the patches, position embedding."""
        embed, hidden = self.embed_dim, self.hidden_dim
        block = (
            4 * embed  # norm1, norm2
            + 3 * embed * (embed + self.qkv_bias)
            + embed * (embed + 1)  # attn.proj
            + hidden * (embed + 1) + embed * (hidden + 1)  # mlp.fc1, mlp.fc2
        )
        return (
            (self.num_prefix_tokens + self.num_tokens) * embed  # cls_token, dist_token, reg_token, pos_embed
            + embed * (self.patch_dim + 1)
            + self.pre_norm * embed * (embed + 3)  # norm_pre, pre_proj
            + self.depth * block
            + 2 * embed  # norm
            + self.num_head_tokens * self.num_classes * (embed + 1)  # head, head_dist
        )

    def to_dict(self) -> dict:
        """Return the parameters as plain values that JSON can hold."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping) -> "VitConfig":
        """Return the config of :meth:`to_dict`'s values.

        Raises
        ------
        TypeError, ValueError
            ``values`` is not a mapping, a name is missing or unknown, or a value is illegal.
        """
        if not isinstance(values, Mapping):
            raise TypeError(f"a ViT config must be a mapping of parameter names to values, not {values!r}")
        names = {field.name for field in fields(cls)}
        required = {"image_size", "patch_size", "in_chans", "num_classes", "embed_dim", "depth", "num_heads"}
        if unknown := sorted(set(values) - names):
            raise ValueError(f"a ViT config has no parameter {', '.join(unknown)}; it has {', '.join(sorted(names))}")
        if missing := sorted(required - set(values)):
            raise ValueError(f"a ViT config needs the parameter {', '.join(missing)}")
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


_IMAGENET = {
    "image_size": 224, "patch_size": 16, "in_chans": 3, "num_classes": 1000, "depth": 12,
    "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225),
}

VIT_CONFIGS: Mapping[str, VitConfig] = MappingProxyType({
    # 8x8 digits, 5 tokens: tests and the quick bitstream
    "tiny": VitConfig(image_size=8, patch_size=4, in_chans=1, num_classes=10, embed_dim=16, depth=1, num_heads=2,
                      mlp_ratio=2.0),
    # 8x8 digits, 17 tokens: the whole model on chip
    "digits": VitConfig(image_size=8, patch_size=2, in_chans=1, num_classes=10, embed_dim=48, depth=4, num_heads=3),
    # 28x28 grey images, 50 tokens
    "fashion": VitConfig(image_size=28, patch_size=4, in_chans=1, num_classes=10, embed_dim=64, depth=6, num_heads=4),
    # 32x32 colour photographs, 65 tokens
    "photos": VitConfig(image_size=32, patch_size=4, in_chans=3, num_classes=10, embed_dim=128, depth=7, num_heads=4,
                        mlp_ratio=2.0, mean=(0.491, 0.482, 0.447), std=(0.247, 0.243, 0.262)),
    # DeiT without distillation (Touvron et al. 2021, table 1), 197 tokens
    "deit_tiny": VitConfig(embed_dim=192, num_heads=3, **_IMAGENET),
    "deit_small": VitConfig(embed_dim=384, num_heads=6, **_IMAGENET),
    "deit_base": VitConfig(embed_dim=768, num_heads=12, **_IMAGENET),
})
"""Named configs; the float checkpoints in ``models/`` carry their own copy."""


def vit_config(name: str) -> VitConfig:
    """Return the named config; :exc:`ValueError` lists the names if there is none."""
    check_choice("ViT config", name, tuple(VIT_CONFIGS))
    return VIT_CONFIGS[name]
