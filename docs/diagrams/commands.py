"""Pictures of what an SDRAM controller does at its pins, sampled while Amaranth's simulator runs it."""

import json
from pathlib import Path

import wavedrom
from amaranth.sim import Simulator
from vitric.golden.spec.sdram import SdramSpec
from vitric.hdl.memory.controller import SdramController
from vitric.hdl.memory.layouts import Command

from docs.diagrams.timing import tidy

__all__ = ["SPEC", "Commands"]

SPEC = SdramSpec(clock_hz=133_333_333, row_bits=3, column_bits=4, t_power_up=1000, init_refreshes=2, t_refi=1200)
"""Rows of four lines, and refreshes that come often."""

_COLOURS = {Command.ACTIVATE: "4", Command.READ: "3", Command.WRITE: "5", Command.PRECHARGE: "6", Command.REFRESH: "7",
            Command.MODE: "9"}
_SHORT = {Command.ACTIVATE: "ACT", Command.READ: "RD", Command.WRITE: "WR", Command.PRECHARGE: "PRE",
          Command.REFRESH: "REF", Command.MODE: "MODE"}


class Commands:
    """Commands, banks and addresses of each cycle, and the lines that arrive.

    Parameters
    ----------
    title : str
    requests : sequence
        Requests, sent one after another as soon as the chip has been brought up and a refresh is over.
    start, cycles : int
        First cycle that is shown, counted from the first request, and how many.
    """

    def __init__(self, title: str, requests, *, start: int = 0, cycles: int = 32):
        self.title, self.start = title, start
        self.samples = self._run(requests, start + cycles)[start:]

    @staticmethod
    def _run(requests, cycles: int) -> list[tuple]:
        dut = SdramController(SPEC)
        sim = Simulator(dut)
        sim.add_clock(7.5e-9)
        samples, words = [], iter(range(1 << 16))

        async def begin(ctx):
            ctx.set(dut.room, 1)
            await ctx.tick().until(dut.ready)
            await ctx.tick().until(dut.pins.command == Command.REFRESH)
            for _ in range(SPEC.rfc):
                await ctx.tick()

        async def send(ctx):
            await begin(ctx)
            for request in requests:
                ctx.set(dut.request.payload, request)
                ctx.set(dut.request.valid, 1)
                await ctx.tick().until(dut.request.ready)
                ctx.set(dut.request.valid, 0)

        async def chip(ctx):
            while True:
                ctx.set(dut.dq, next(words))
                await ctx.tick()

        async def watch(ctx):
            await begin(ctx)
            pins = dut.pins
            for _ in range(cycles):
                _, _, *values = await ctx.tick().sample(
                    pins.command, pins.bank, pins.address, pins.drive, dut.arrives, dut.request.valid)
                samples.append((Command(values[0]), *map(int, values[1:])))

        sim.add_testbench(send)
        sim.add_testbench(chip, background=True)
        sim.add_testbench(watch)
        sim.run()
        return samples

    @staticmethod
    def _where(command: Command, bank: int, address: int) -> str:
        if command is Command.PRECHARGE:
            return "all" if address >> 10 & 1 else f"bank {bank}"
        if command is Command.ACTIVATE:
            return f"{bank}, row {address}"
        return f"{bank}, {address}" if command in (Command.READ, Command.WRITE) else ""

    def wavejson(self) -> dict:
        """Return the picture as WaveJSON."""
        command, where, names, places = "", "", [], []
        for sample in self.samples:
            kind = sample[0]
            if kind is Command.NOP:
                command, where = command + "x", where + "x"
                continue
            command, where = command + _COLOURS[kind], where + _COLOURS[kind]
            names.append(_SHORT[kind])
            places.append(self._where(*sample[:3]))
        levels = {name: "".join(str(sample[at]) for sample in self.samples)
                  for name, at in (("request.valid", 5), ("pins.drive", 3), ("arrives", 4))}
        rows = [{"name": "command", "wave": command, "data": names}, {"name": "bank, row or column", "wave": where,
                                                                     "data": places}]
        return {"signal": [{"name": "request.valid", "wave": levels["request.valid"]}, *rows,
                           *({"name": name, "wave": levels[name]} for name in ("pins.drive", "arrives"))],
                "head": {"text": self.title, "tick": 0}, "config": {"hscale": 2}}

    def svg(self) -> str:
        """Return the picture as SVG text."""
        columns = [self.start + k for k in range(len(self.samples))]
        return tidy(wavedrom.render(json.dumps(self.wavejson())).tostring(), self.title, columns)

    def write(self, source: str) -> Path:
        """Write the picture beside the module file ``source``, with the suffix ``.svg``, and return its path."""
        path = Path(source).with_suffix(".svg")
        path.write_text(self.svg(), encoding="utf-8")
        return path
