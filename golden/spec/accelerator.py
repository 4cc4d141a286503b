"""Capacities of an accelerator: any ViT within them runs, whatever its network and precision."""

import zlib
from dataclasses import astuple, dataclass, replace
from functools import cached_property

from .arithmetic import Arithmetic
from .check import check_choice, check_int, check_power_of_two
from .command import CHANNEL_BITS, VERSION
from .layernorm import LayerNormSpec
from .mac import MacArraySpec
from .requantize import RequantizeSpec, TableSpec
from .softmax import SoftmaxSpec

__all__ = ["SPECS", "AcceleratorSpec", "arithmetic_of"]


@dataclass(frozen=True, kw_only=True)
class AcceleratorSpec:
    """Parameters of one accelerator; a model stream is compiled for one of them.

    Parameters
    ----------
    name : str
        For reports; not part of :attr:`hash`.
    rows, cols : int
        Tokens and output channels of one array tile. They must be equal, so that a result tile can be written
        transposed and keys can serve as weights; a power of two, 1..32.
    depth : int
        Terms of each dot product per cycle; ``cols`` times a power of two.
    a_bits, w_bits : int
        Width of the array's activation (unsigned) and weight (signed) ports, 2..8. Wider codes take planes.
    acc_bits : int
        Width of the accumulators.
    model_bits : int
        Width of the model stream's port: 32, 64 or 128.
    max_tokens : int
        Longest softmax row, and the tokens that activation memory is sized for.
    max_embed : int
        Longest LayerNorm row.
    max_classes : int
        Logits held back until the stream is checked.
    act_words : int
        Activation memory, in words of ``rows * depth`` elements.
    residual_words : int
        Residual memory, in columns of ``rows`` values.
    weight_words, channel_words : int
        Weight and channel buffers (rings that the stream fills ahead of the array): powers of two; the largest
        weight set must fit, and should fit twice.
    drain_cols : int
        Columns of a result tile that leave the array per cycle: 1, 2 or 4, at most ``cols``. Requantize, code table and
        softmax are as wide. Not part of :attr:`hash`.
    mapping : str
        Of the MAC array, see :class:`MacArraySpec`. Not part of :attr:`hash`, nor is ``multipliers``.
    multipliers : int
        With ``mapping="auto"``: how many hardware multipliers of the part the array may take.
    command_queue : int
        Commands between the front end and an engine: 8, or 0 for one command in the whole machine at a time, which
        needs no registers for others and is slower. Not part of :attr:`hash`.
    """

    name: str
    rows: int
    cols: int
    depth: int
    a_bits: int = 4
    w_bits: int = 4
    acc_bits: int = 24
    model_bits: int = 64
    max_tokens: int
    max_embed: int
    max_classes: int = 16
    act_words: int
    residual_words: int
    weight_words: int
    channel_words: int
    drain_cols: int = 1
    mapping: str = "auto"
    multipliers: int = 0
    command_queue: int = 8

    residual_bits = 16
    code_bits = Arithmetic.code_bits
    index_bits = Arithmetic.index_bits

    def __post_init__(self):
        check_power_of_two("rows", self.rows, 1, 32)
        if self.cols != self.rows:
            raise ValueError(f"cols must be equal to rows ({self.rows}), not {self.cols!r}")
        check_int("depth", self.depth, self.cols, 128)
        check_power_of_two("depth / cols", self.depth // self.cols, 1, 64)
        self.arithmetic  # noqa: B018 (its widths are checked)
        check_choice("model_bits", self.model_bits, (32, 64, 128))
        check_int("max_tokens", self.max_tokens, 2, 4096)
        check_int("max_embed", self.max_embed, 2, 4096)
        check_int("max_classes", self.max_classes, 1, 4096)
        check_int("act_words", self.act_words, 2, 1 << 16)
        check_int("residual_words", self.residual_words, 2, 1 << 16)
        check_power_of_two("weight_words", self.weight_words, 2, 1 << 15)
        check_power_of_two("channel_words", self.channel_words, 2, 1 << 15)
        check_choice("command_queue", self.command_queue, (0, 8))
        check_choice("drain_cols", self.drain_cols, [n for n in (1, 2, 4) if n <= self.cols])
        if self.residual_words % self.drain_cols:
            raise ValueError(f"residual_words must be a multiple of drain_cols ({self.drain_cols}), "
                             f"not {self.residual_words}")
        if self.weight_word_bits % self.model_bits:
            raise ValueError(f"cols * depth * w_bits must be a multiple of model_bits ({self.model_bits}), "
                             f"not {self.weight_word_bits}")
        if self.residual_word_bits % self.model_bits and self.model_bits % self.residual_word_bits:
            raise ValueError(f"rows * residual_bits must divide or be a multiple of model_bits, "
                             f"not {self.residual_word_bits}")

    @property
    def element_bits(self) -> int:
        """Bits of one element of an activation word."""
        return max(self.a_bits, self.w_bits)

    @property
    def tile_bits(self) -> int:
        """Bits of one ``rows`` by ``cols`` tile of one plane: what activation memory is written in."""
        return self.rows * self.cols * self.element_bits

    @property
    def word_tiles(self) -> int:
        """Tiles in one activation word: ``depth / cols``."""
        return self.depth // self.cols

    @property
    def weight_word_bits(self) -> int:
        """Bits of one array word of weights."""
        return self.cols * self.depth * self.w_bits

    @property
    def residual_word_bits(self) -> int:
        """Bits of one residual column."""
        return self.rows * self.residual_bits

    @property
    def channel_group(self) -> int:
        """Channel words that stand side by side in the channel ring: what a cycle needs, or what a model word holds."""
        return max(self.drain_cols, self.model_bits // CHANNEL_BITS)

    @property
    def code_planes(self) -> int:
        """Planes that the widest code has, unsigned or signed."""
        return max(self.arithmetic.a_planes(self.code_bits), self.arithmetic.w_planes(self.code_bits))

    @property
    def command_gap(self) -> int:
        """Cycles between the last column of one product and the first one of the next, at least.

        In these the code table gives out its last codes, the tile writer writes their planes, and the writeback takes
        the next command.
        """
        return 4 + self.code_planes + self.gelu.latency

    @property
    def key_terms(self) -> int:
        """Terms of a key that the loader of keys adds up per cycle."""
        return min(4, self.depth)

    @cached_property
    def arithmetic(self) -> Arithmetic:
        """What the integers of a model depend on."""
        return Arithmetic(a_bits=self.a_bits, w_bits=self.w_bits, acc_bits=self.acc_bits,
                          residual_bits=self.residual_bits)

    @cached_property
    def mac(self) -> MacArraySpec:
        """The array."""
        return MacArraySpec(rows=self.rows, cols=self.cols, depth=self.depth, a_bits=self.a_bits,
                            w_bits=self.w_bits, acc_bits=self.acc_bits, shifts=self.arithmetic.shifts,
                            mapping=self.mapping, multipliers=self.multipliers)

    @cached_property
    def requantize(self) -> RequantizeSpec:
        """The requantize unit of one column, one lane per row."""
        return self.arithmetic.requantize(self.rows)

    @cached_property
    def gelu(self) -> TableSpec:
        """The GELU table, one lane per row and column."""
        return self.arithmetic.table(self.rows * self.drain_cols)

    @cached_property
    def softmax(self) -> SoftmaxSpec:
        """The softmax unit, one lane per row and as many columns as leave the array."""
        return replace(self.arithmetic.softmax(self.max_tokens, self.rows), columns=self.drain_cols)

    @cached_property
    def layernorm(self) -> LayerNormSpec:
        """The LayerNorm unit, one lane per row."""
        return self.arithmetic.layernorm(self.max_embed, self.rows)

    @property
    def macs_per_cycle(self) -> int:
        """Products that the array completes per cycle."""
        return self.rows * self.cols * self.depth

    @property
    def hash(self) -> int:
        """32-bit number in the header of every model stream compiled for this spec."""
        fields = [value for key, value in zip(self.__dataclass_fields__, astuple(self), strict=True)
                  if key not in ("name", "drain_cols", "mapping", "multipliers", "command_queue")]
        return zlib.crc32(repr((VERSION, fields)).encode())


def arithmetic_of(spec: AcceleratorSpec | Arithmetic | None) -> Arithmetic:
    """Return the arithmetic of an accelerator; of ``None`` the default, that of every named accelerator.

    Raises
    ------
    TypeError
        ``spec`` is none of these.
    """
    if spec is None:
        return Arithmetic()
    if isinstance(spec, Arithmetic):
        return spec
    if not isinstance(spec, AcceleratorSpec):
        raise TypeError(f"spec must be an AcceleratorSpec, an Arithmetic or None, not {type(spec).__name__}")
    return spec.arithmetic


SPECS = {
    spec.name: spec
    for spec in (
        AcceleratorSpec(name="tiny", rows=2, cols=2, depth=4, model_bits=32, max_tokens=8, max_embed=32,
                        act_words=512, residual_words=128, weight_words=128, channel_words=128),
        AcceleratorSpec(name="digits", rows=4, cols=4, depth=16, model_bits=128, max_tokens=32, max_embed=64,
                        act_words=512, residual_words=512, weight_words=512, channel_words=512, drain_cols=2),
        AcceleratorSpec(name="fashion", rows=4, cols=4, depth=16, model_bits=64, max_tokens=64, max_embed=64,
                        act_words=1024, residual_words=1024, weight_words=512, channel_words=512, drain_cols=2),
        AcceleratorSpec(name="deit_tiny", rows=8, cols=8, depth=16, model_bits=64, max_tokens=200, max_embed=192,
                        act_words=2560, residual_words=4800, weight_words=512, channel_words=512, max_classes=1000,
                        drain_cols=2),
    )
}
"""By name."""
