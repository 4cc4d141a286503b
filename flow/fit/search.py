"""Every accelerator that could run a model, with its cycles and its area; which are worth it, and what bounds them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from math import ceil
from typing import Any

from vitric.boards.model_store import usual_capacity
from vitric.compiler.capacity import blank_model
from vitric.compiler.lower import image_bytes
from vitric.compiler.sizing import sized_plan
from vitric.golden.quantization.settings import Settings
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.vit import VitConfig
from vitric.golden.spec.word_rate import EVERY_CYCLE, WordRate
from vitric.toolchain.parts import Part

from ..tasks import HERE, Workers, run_tasks
from .area import SDRAM, Area, area_model

__all__ = ["Choice", "Demand", "Limit", "Run", "front", "limits", "over", "placed_on", "search", "shapes"]

ROWS = (2, 4, 8, 16)
WORD_TILES = (1, 2, 4, 8)
MODEL_BITS = (32, 64, 128)
DRAIN_COLS = (1, 2, 4)
SETS = (1, 2)
MEMORIES = ("bram", "sdram", "external")
MACS_MAX = 2048
"""Legal values of what is searched and asked for; ``cols`` is ``rows``, ``depth`` that times the tiles of a word."""

_DEPTH_MAX = 128

LUT_SHARE = 0.8
"""Share of a part's look-up tables that may be taken: beyond, place and route finds no way, or a slow one. With 84 % of
an LFE5U-25F no placement was found (docs/fit.md)."""

LUT_MOST = 29_500
"""Look-up tables that may be taken of any part: wires grow faster than designs. With nearly all multipliers of an
LFE5U-85F in the array, 29,086 logic cells were routed, and 33,000 came to no end (docs/fit.md)."""

BLOCKS_MOST = 192
"""Block RAMs that may be taken of any part: a design spread over an LFE5U-85F found places for 189 of its 208, and one
with 197 did not (docs/fit.md)."""


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What an accelerator is looked for.

    Attributes
    ----------
    config : VitConfig
    options : mapping
        Keyword arguments of :class:`~vitric.golden.quantization.settings.Settings` but for ``spec``.
    name : str
        Of the accelerators.
    memory : str
        Of :data:`MEMORIES`: where the models lie, two of them, as :class:`vitric.boards.system.System` has it; or
        ``"external"``: model and image come from a design of one's own, and take nothing.
    rates : mapping of int to WordRate
        How fast model words come, by their width; one per cycle where nothing is said.
    """

    config: VitConfig
    options: Mapping[str, Any]
    name: str
    memory: str = "bram"
    rates: Mapping[int, WordRate] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Run:
    """An accelerator with memories for the model, and an image on it; nothing in it depends on a part.

    Attributes
    ----------
    spec : AcceleratorSpec
        Without multipliers in its array.
    sets : int
        Sets of weights that its ring was sized for.
    cycles, beats : int
        Of an image; ``beats`` are those of the array.
    words : int
        Model words.
    image_bytes : int
        Of an image at the input port.
    """

    spec: AcceleratorSpec
    sets: int
    cycles: int
    beats: int
    words: int
    image_bytes: int

    @property
    def place(self) -> tuple[int, ...]:
        """Rows, depth, model bits, columns per cycle, sets, widths of the ports: what was searched."""
        spec = self.spec
        return spec.rows, spec.depth, spec.model_bits, spec.drain_cols, self.sets, spec.a_bits, spec.w_bits


@dataclass(frozen=True, kw_only=True)
class Choice:
    """An accelerator on a part.

    Attributes
    ----------
    run : Run
    spec : AcceleratorSpec
        With as many multipliers in its array as the part has left.
    area : Area
    over : mapping of str to (int, int)
        What it needs more of than there is: needed and available, by name; empty if it fits.
    """

    run: Run
    spec: AcceleratorSpec
    area: Area
    over: Mapping[str, tuple[int, int]]

    def images_per_s(self, clock_mhz: float) -> float:
        """Return the images per second at a clock, the next image being there when one is done."""
        return clock_mhz * 1e6 / self.run.cycles

    def as_dict(self, clock_mhz: float) -> dict:
        """Return everything as plain JSON types."""
        spec = {name: value for name, value in asdict(self.spec).items() if name != "name"}
        return {"spec": spec, "cycles": self.run.cycles, "utilization": self.run.beats / self.run.cycles,
                "images_per_s": self.images_per_s(clock_mhz), "model_words": self.run.words, **asdict(self.area)}


@dataclass(frozen=True, kw_only=True)
class Limit:
    """One step from a choice to a faster accelerator.

    Attributes
    ----------
    what : str
        What that has more of.
    gain : float
        Share of the cycles that it saves.
    cost : str
        What it takes, or why it cannot be had.
    """

    what: str
    gain: float
    cost: str


def shapes(a_bits: int, w_bits: int) -> Iterator[AcceleratorSpec]:
    """Give the arrays that are searched, smallest first, with any memories.

    Their ports are as wide as the codes of most products, or half as wide where that still is 3 bits or more: such
    codes then take two planes.
    """
    a_widths, w_widths = ({bits, -(-bits // 2)} if bits > 4 else {max(2, bits)} for bits in (a_bits, w_bits))
    drawn = sorted((rows * rows * rows * tiles, rows, rows * tiles) for rows in ROWS for tiles in WORD_TILES)
    for macs, rows, depth in drawn:
        for a, w in product(sorted(a_widths), sorted(w_widths)):
            if macs <= MACS_MAX and depth <= _DEPTH_MAX and not rows * depth * w % min(MODEL_BITS):
                yield AcceleratorSpec(
                    name="shape", rows=rows, cols=rows, depth=depth, a_bits=a, w_bits=w, model_bits=min(MODEL_BITS),
                    max_tokens=2, max_embed=2, act_words=2, residual_words=4, weight_words=2, channel_words=2)


def evaluate(demand: Demand, shape: AcceleratorSpec) -> list[Run]:
    """Return the model on one array with every port, drain and ring; empty if it cannot be."""
    runs = []
    try:
        model = blank_model(demand.config, shape, Settings(spec=shape, **demand.options))
        plans = {sets: sized_plan(shape, model, name=demand.name, sets=sets) for sets in SETS}
    except ValueError:  # CompileError is one
        return []
    for sets, plan in plans.items():
        for model_bits in MODEL_BITS:
            for drain_cols in DRAIN_COLS:
                if drain_cols > shape.cols or shape.weight_word_bits % model_bits:
                    continue
                residual = ceil(plan.spec.residual_words / drain_cols) * drain_cols
                own = plan.on(replace(plan.spec, model_bits=model_bits, drain_cols=drain_cols, residual_words=residual))
                cycles = own.predict(demand.rates.get(model_bits, EVERY_CYCLE))
                runs.append(Run(spec=own.spec, sets=sets, cycles=cycles.cycles, beats=cycles.beats, words=own.words,
                                image_bytes=image_bytes(demand.config, own.spec)))
    return runs


def search(demand: Demand, part: Part, *, workers: Workers = HERE,
           on_shape: Callable[[int, int], None] = lambda done, total: None) -> list[Run]:
    """Return the model on every array that is not far too large for the part, fastest first.

    ``on_shape`` is told how many arrays are done, and of how many.
    """
    settings = Settings(**demand.options)
    wanted = {(s.rows, s.depth, s.a_bits, s.w_bits): s for s in shapes(settings.a_bits, settings.w_bits)
              if area_model().area(replace(s, multipliers=part.dsp), 0).lut_eq <= part.lut4}
    done = 0

    def told(key: tuple, result: list[Run]) -> None:
        nonlocal done
        done += 1
        on_shape(done, len(wanted))

    found = run_tasks(evaluate, demand, wanted, workers, on_result=told)
    return sorted((run for runs in found.values() for run in runs), key=lambda run: (run.cycles, run.words))


def over(area: Area, part: Part) -> dict[str, tuple[int, int]]:
    """Return what an area needs more of than a part can give."""
    needed = {"LUT4": (area.lut_eq, min(LUT_MOST, int(LUT_SHARE * part.lut4))), "flip-flops": (area.ff, part.ff),
              "block RAMs": (area.bram, min(BLOCKS_MOST, part.bram)),
              "multipliers": (area.dsp, part.dsp)}
    return {name: pair for name, pair in needed.items() if pair[0] > pair[1]}


def placed_on(part: Part, run: Run, memory: str) -> Choice:
    """Return an accelerator on a part, its array with the multipliers that the rest leaves.

    ``memory`` is as :class:`Demand` has it.
    """
    model = area_model()
    spec = replace(run.spec, multipliers=max(0, part.dsp - model.multipliers(run.spec)))
    area = model.area(spec, usual_capacity(run.words) if memory == "bram" else 0,
                      run.image_bytes if memory == "bram" else 0)
    if memory == "sdram":
        area = replace(area, lut_eq=area.lut_eq + SDRAM.lut_eq, ff=area.ff + SDRAM.ff)
    return Choice(run=run, spec=spec, area=area, over=over(area, part))


def front(choices: Sequence[Choice]) -> list[Choice]:
    """Return the choices than which none is both as fast and smaller, fastest first; those that fit only."""
    best, kept = None, []
    for choice in sorted(choices, key=lambda choice: (choice.run.cycles, choice.area.lut_eq)):
        if not choice.over and (best is None or choice.area.lut_eq < best):
            kept.append(choice)
            best = choice.area.lut_eq
    return kept


_MORE = ("a larger array", "a deeper array", "a wider stream", "more columns drained per cycle", "a larger weight ring")


def limits(choice: Choice, choices: Sequence[Choice]) -> list[Limit]:
    """Return what would make a choice faster, the largest gain first: steps of one parameter, and what they cost.

    An array twice as deep is one step, as is one of twice the rows and columns with words of as many tiles.
    """
    by_place = {other.run.place: other for other in choices}
    rows, depth, *rest = choice.run.place
    steps = [(2 * rows, 2 * depth, *rest), (rows, 2 * depth, *rest)]
    for number, values in enumerate((MODEL_BITS, DRAIN_COLS, SETS)):
        larger = [value for value in values if value > rest[number]]
        steps.append((rows, depth, *rest[:number], larger[0], *rest[number + 1:]) if larger else None)
    found = []
    for what, step in zip(_MORE, steps, strict=True):
        other = by_place.get(step)
        if other is None or other.run.cycles >= choice.run.cycles:
            continue
        gain = 1 - other.run.cycles / choice.run.cycles
        if other.over:
            cost = "does not fit: " + ", ".join(f"{need} {name} of {has}" for name, (need, has) in other.over.items())
        else:
            more = other.area.lut_eq - choice.area.lut_eq, other.area.bram - choice.area.bram
            cost = f"{more[0]:+d} LUT-eq, {more[1]:+d} block RAMs"
        found.append(Limit(what=what, gain=gain, cost=cost))
    return sorted(found, key=lambda limit: -limit.gain)
