"""Puts operand words together from model words, without a cycle of latency."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import TABLE_ENTRY_BITS

from .layouts import affine_group, channel_group, residual_beat, residual_column, weight_word

__all__ = ["Assembler"]


class Assembler(wiring.Component):
    """Views of the present model word and the ones before it as each kind of operand word.

    The newest model word is the most significant part of an operand word. One that is no wider than a model word, and
    a residual column that is narrower, is its low bits. ``count`` is the number of model words of the present operand
    word that were taken before this one, and ``*_last`` says that the present one completes it.

    Members
    -------
    word : unsigned(model_bits), in
    take : 1, in
        The word is transferred in this cycle.
    count : unsigned, in
        For the table: entry of the model word.
    weight, channels, affine, residual : weight_word, channel_group, affine_group, residual_beat, out, combinational
    entry : unsigned(8), out, combinational
    weight_last, channels_last, affine_last, residual_last, entry_last : 1, out
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        self._layouts = {"weight": weight_word(spec), "channels": channel_group(spec), "affine": affine_group(spec),
                         "residual": residual_beat(spec)}
        self._words = {name: -(-layout.size // spec.model_bits) for name, layout in self._layouts.items()}
        self._column_words = -(-residual_column(spec).size // spec.model_bits)
        self._words["residual"] = spec.drain_cols * self._column_words
        self._entries = spec.model_bits // TABLE_ENTRY_BITS
        largest = max(*self._words.values(), self._entries)
        super().__init__({
            "word": In(spec.model_bits), "take": In(1), "count": In(range(largest)),
            **{name: Out(layout) for name, layout in self._layouts.items()},
            **{f"{name}_last": Out(1) for name in self._layouts},
            "entry": Out(TABLE_ENTRY_BITS), "entry_last": Out(1),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        model_bits = self.spec.model_bits
        before = Signal((max(self._words.values()) - 1) * model_bits, reset_less=True)
        both = Cat(before, self.word)
        with m.If(self.take):
            m.d.sync += before.eq(both[model_bits:])
        for name, layout in self._layouts.items():
            value = both[len(both) - self._words[name] * model_bits:]
            if name == "residual":
                column = residual_column(self.spec).size
                starts = range(0, len(value), self._column_words * model_bits)
                value = Cat(value[start:start + column] for start in starts)
            m.d.comb += [
                getattr(self, name).eq(data.View(layout, value[:layout.size])),
                getattr(self, f"{name}_last").eq(self.count == self._words[name] - 1),
            ]
        m.d.comb += [
            self.entry.eq(self.word.word_select(self.count[:ceil_log2(self._entries)], TABLE_ENTRY_BITS)),
            self.entry_last.eq(self.count == self._entries - 1),
        ]
        return m
