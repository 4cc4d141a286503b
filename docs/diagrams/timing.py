"""Timing diagrams drawn from simulations: what the streams of a unit did in each cycle, as WaveJSON and then as SVG.

A timing diagram is a module beside this one, ``timing_UNIT.py``, that says what to send and when the receiver stalls.
Nothing that it shows is typed in: levels, values and numbers of cycles are sampled while Amaranth's simulator runs the
unit, so that a diagram cannot disagree with the hardware. Run one to write its picture again::

    python -m docs.diagrams.timing_mac
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import accumulate, pairwise
from pathlib import Path

import wavedrom
from amaranth.hdl import Shape, Value
from amaranth.lib import data
from amaranth.sim import Simulator

__all__ = ["Timing", "tidy"]

COLOURS = "345679"
"""Wavedrom's box colours, one group of beats after another."""

QUIET = 5
"""Cycles in a row in which nothing changes that are drawn in full; longer rests are cut."""


@dataclass
class _Port:
    """A stream of the unit: what is shown of it, what the testbench does with it, and what was sampled."""

    port: object
    fields: Mapping[str, Callable | None]
    lengths: Sequence[int]
    payloads: Sequence | None = None
    idle: Mapping[int, int] = field(default_factory=dict)
    beside: Mapping[int, Mapping] = field(default_factory=dict)
    stalls: frozenset = frozenset()
    samples: list = field(default_factory=list)

    def shown(self, name: str, payload) -> str:
        """Return the text of a field of a payload."""
        value = payload[name] if name else payload
        function = self.fields[name]
        return function(value) if function else " ".join(map(str, _flat(value)))

    def is_level(self, name: str) -> bool:
        """Return whether a field is a single bit, drawn as a level."""
        shape = self.port.payload.shape()
        if name:
            shape = data.Layout.cast(shape)[name].shape
        return not isinstance(shape, data.Layout) and Shape.cast(shape).width == 1 and self.fields[name] is None

    def beats(self) -> list[tuple[int, int]]:
        """Return the cycles of each beat: the first in which it was valid, and that of its transfer."""
        found, start = [], None
        for cycle, (valid, ready, _) in enumerate(self.samples):
            if valid and start is None:
                start = cycle
            if valid and ready:
                found.append((start, cycle))
                start = None
        return found

    def group(self, beat: int) -> int:
        """Return the number of the group of beats that a beat belongs to."""
        return sum(beat >= end for end in accumulate(self.lengths))


def _flat(value) -> Iterable[int]:
    """Return the integers in a simulated value, outermost index first."""
    if isinstance(value, data.Const):
        layout = value.shape()
        keys = range(layout.length) if isinstance(layout, data.ArrayLayout) else [key for key, _ in layout]
        return [item for key in keys for item in _flat(value[key])]
    return [int(value)]


class Timing:
    """A timing diagram of one unit, made by simulating it.

    Parameters
    ----------
    dut : Component
        The unit.
    title : str
        Heading of the picture.
    """

    def __init__(self, dut, title: str):
        self.dut = dut
        self.title = title
        self._ports: dict[str, _Port] = {}
        self._spans: list[tuple[str, tuple, tuple]] = []

    def send(self, name: str, payloads: Sequence, *, fields: Mapping[str, Callable | None], lengths: Sequence[int],
             idle: Mapping[int, int] | None = None, beside: Mapping[int, Mapping] | None = None) -> None:
        """Send ``payloads`` into the stream input ``name`` and show it.

        Parameters
        ----------
        name : str
            Name of the port.
        payloads : sequence
            What to send, one beat after another.
        fields : mapping
            Fields of the payload to show (``""``: all of it), and for each None or a function from value to text.
        lengths : sequence of int
            Beats of each group; a group is drawn in one colour.
        idle : mapping, optional
            Cycles without a beat before the beat of this number.
        beside : mapping, optional
            Ports that are no streams, and their values, while the beat of this number is valid.
        """
        self._ports[name] = _Port(getattr(self.dut, name), fields, lengths, list(payloads), dict(idle or {}),
                                  dict(beside or {}))

    def receive(self, name: str, *, fields: Mapping[str, Callable | None], lengths: Sequence[int],
                stalls: Iterable[int] = ()) -> None:
        """Receive from the stream output ``name`` and show it; it is not ready in the cycles ``stalls``."""
        self._ports[name] = _Port(getattr(self.dut, name), fields, lengths, stalls=frozenset(stalls))

    def span(self, text: str, start: tuple[str, int, str], end: tuple[str, int, str]) -> None:
        """Mark the cycles between two events; the picture shows ``text`` and their measured number.

        An event is port, number of the beat, and ``"valid"`` (its first cycle) or ``"taken"`` (its transfer).
        """
        self._spans.append((text, start, end))

    def run(self, cycles: int) -> None:
        """Simulate so many cycles from reset, sampling all ports that are shown."""
        sim = Simulator(self.dut)
        sim.add_clock(1e-6)
        for port in self._ports.values():
            sim.add_testbench(self._sender(port) if port.payloads is not None else self._receiver(port),
                              background=True)

        async def sample(ctx):
            for _ in range(cycles):
                ports = self._ports.values()
                values = await ctx.tick().sample(
                    *(value for p in ports for value in (p.port.valid, p.port.ready, p.port.payload)))
                for port, (valid, ready, payload) in zip(ports, zip(*[iter(values[2:])] * 3, strict=True), strict=True):
                    port.samples.append((int(valid), int(ready), payload))

        sim.add_testbench(sample)
        sim.run()

    def _sender(self, port: _Port):
        async def testbench(ctx):
            for number, payload in enumerate(port.payloads):
                for _ in range(port.idle.get(number, 0)):
                    await ctx.tick()
                for name, value in port.beside.get(number, {}).items():
                    ctx.set(getattr(self.dut, name), value)
                ctx.set(port.port.payload, payload)
                ctx.set(port.port.valid, 1)
                await ctx.tick().until(port.port.ready)
                ctx.set(port.port.valid, 0)
                ctx.set(Value.cast(port.port.payload), 0)
        return testbench

    @staticmethod
    def _receiver(port: _Port):
        async def testbench(ctx):
            cycle = 0
            while True:
                ctx.set(port.port.ready, cycle not in port.stalls)
                await ctx.tick()
                cycle += 1
        return testbench

    def columns(self) -> list[int | None]:
        """Return the cycles that are drawn, None for a cut: of a long rest, its first and last cycle stay."""
        states = list(zip(*(
            [(valid, ready, valid and tuple(_flat(payload))) for valid, ready, payload in port.samples]
            for port in self._ports.values()), strict=True))
        busy = [any(valid and ready for valid, ready, _ in state) for state in states]
        events = {cycle for _, start, end in self._spans for cycle in (self._cycle(start), self._cycle(end))}
        changes = [0, *(k for k in range(1, len(states)) if states[k] != states[k - 1] or busy[k] or k in events),
                   len(states)]
        drawn = []
        for begin, end in pairwise(changes):
            cut = end - begin > QUIET
            drawn += [begin, None, end - 1] if cut else range(begin, end)
        return drawn

    def _cycle(self, event: tuple[str, int, str]) -> int:
        name, beat, kind = event
        return self._ports[name].beats()[beat][("valid", "taken").index(kind)]

    def wavejson(self) -> dict:
        """Return the diagram as WaveJSON: a group of rows for each port and, below the first, the marked spans."""
        columns = self.columns()
        groups = [[name, *self._rows(port, columns)] for name, port in self._ports.items()]
        spans, edges = self._span_rows(columns)
        signal = [groups[0], *spans]
        for group in groups[1:]:
            signal += [group, {}]
        return {"signal": signal[:-1], "edge": edges, "head": {"text": self.title, "tick": 0}}

    def _rows(self, port: _Port, columns: list) -> list[dict]:
        """Return the rows of a port: valid, ready and each field."""
        numbers = {}  # of the beat that is valid in a cycle
        for number, (start, end) in enumerate(beats := port.beats()):
            numbers |= dict.fromkeys(range(start, end + 1), number)
        rows = [(["valid", "ready"][k], None, [str(sample[k]) for sample in port.samples]) for k in range(2)]
        for name in port.fields:
            level, states, texts = port.is_level(name), [], []
            for cycle, (valid, _, payload) in enumerate(port.samples):
                number = numbers.get(cycle, len(beats))
                texts.append(port.shown(name, payload) if valid else "")
                states.append("x" if not valid else texts[-1] if level else f"beat {number}")
            rows.append((name or "payload", None if level else texts, states))
        return [self._row(port, columns, *row) for row in rows]

    @staticmethod
    def _row(port: _Port, columns: list, name: str, texts: list | None, states: list) -> dict:
        """Return a row: a character per drawn cycle, and the texts of the boxes."""
        wave, labels, before = "", [], None
        for cycle in columns:
            state = before if cycle is None else states[cycle]
            if cycle is None:
                wave += "|"
            elif state == before:
                wave += "."
            elif state.startswith("beat "):
                wave += COLOURS[port.group(int(state.removeprefix("beat "))) % len(COLOURS)]
                labels.append(texts[cycle])
            else:
                wave += state
            before = state
        return {"name": name, "wave": wave} | ({"data": labels} if texts else {})

    def _span_rows(self, columns: list) -> tuple[list[dict], list[str]]:
        """Return rows with the ends of the spans, as few as they fit into side by side, and the arrows between them."""
        rows, edges, letters = [], [], iter("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        for text, *events in self._spans:
            cycles = [self._cycle(event) for event in events]
            start, end = map(columns.index, cycles)
            label = f"{text}: {cycles[1] - cycles[0]}"
            row = next((row for row in rows if "".join(row[start:]).strip(".") == ""), None)
            if row is None:
                rows.append(row := ["."] * len(columns))
            row[start], row[end] = next(letters), next(letters)
            edges.append(f"{row[start]}<->{row[end]} {label if end - start > 1 else ''}")
            if end - start == 1:  # no room between the arrows
                row[end + 1] = next(letters)
                edges.append(f"{row[end + 1]}-{row[end + 1]} {label}")
        return [{"node": "".join(row)} for row in rows] or [{}], edges

    def svg(self) -> str:
        """Return the diagram as SVG text."""
        drawing = wavedrom.render(json.dumps(self.wavejson()))
        return tidy(drawing.tostring(), self.title, self.columns())

    def write(self, source: str) -> Path:
        """Write the diagram beside the module file ``source``, with the suffix ``.svg``, and return its path."""
        path = Path(source).with_suffix(".svg")
        path.write_text(self.svg(), encoding="utf-8")
        return path


def tidy(text: str, title: str, columns: list[int | None]) -> str:
    """Return Wavedrom's SVG without the shapes that it does not use, on white, with the cycles' true numbers."""
    used = set(re.findall(r'href="#([^"]+)"', text)) | set(re.findall(r"url\(#([^)]+)\)", text))
    text = re.sub(r'<(g|marker) (?=[^>]*\bid="([^"]+)")[^>]*>.*?</\1>',
                  lambda match: match[0] if match[2] in used else "", text.split("</defs>")[0]) + "</defs>" + \
        text.split("</defs>")[1]
    text = re.sub(r'<use transform="translate\(([\d.]+)\)" ', r'<use x="\1" ', text)
    text = re.sub(r'refX="(-?)15"', r'refX="\g<1>11"', text)  # arrows reach the edge that they point to
    text = text.replace("font-size:11pt", "font-size:9pt").replace("font-size:8px", "font-size:11px")
    text = text.replace("font-family:Helvetica", "font-family:sans-serif")
    text = re.sub(r'(<rect height="10" style="fill:#FFF;" )width="([\d.]+)" x="-\d+"',  # behind the text of a span
                  lambda match: f'{match[1]}width="{1.5 * float(match[2]):g}" x="{-0.75 * float(match[2]):g}"', text)
    tick = re.compile(r'(<text class="muted"[^>]*>)(\d+)(</text>)')
    text = tick.sub(lambda match: _tick(match, columns), text)
    opening = re.match(r"<svg[^>]*>", text)[0]
    return f'{opening}<title>{escape(title)}</title><rect width="100%" height="100%" fill="#fff"/>' + \
        text.removeprefix(opening).replace("><", ">\n<") + "\n"


def _tick(match: re.Match, columns: list[int | None]) -> str:
    column = int(match[2])
    cycle = columns[column] if column < len(columns) else None
    return f"{match[1]}{cycle}{match[3]}" if cycle is not None else ""
