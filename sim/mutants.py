"""Faults planted in a unit's netlist, all in one simulator behind a selector, and which of them its bench sees."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from amaranth.back import rtlil
from vitric.hdl.units import Unit
from vitric.toolchain.run import run_script
from vitric.toolchain.verilog import port_names

from .parameters import environment
from .runner import BenchFailure, run_bench

__all__ = ["Fault", "hunt", "plant"]


@dataclass(frozen=True)
class Fault:
    """A change to one bit at one port of one cell of the netlist.

    Attributes
    ----------
    change : str
        The command of Yosys that plants it for good.
    number : int
        Value of the selector that turns it on, from 1.
    mode : str
        What happens to the bit: ``inv``, ``const0``, ``const1``, or ``cnot0`` and ``cnot1``, which invert it while
        another bit of the port, ``control``, is 0 or 1.
    kind : str
        Type of the cell.
    port : str
    bit, control : int
        ``control`` is -1 where there is none.
    wire : str
        Name of the signal at that port, with the bit in it; empty for what has no name.
    sources : tuple of str
        Places in the sources that the cell comes from, ``file:line`` below the repository, first one first.
    """

    change: str
    number: int
    mode: str
    kind: str
    port: str
    bit: int
    control: int
    wire: str
    sources: tuple[str, ...]


_PREPARE = """hierarchy -top top
proc
flatten
opt -full
memory -nomap
wreduce
peepopt
splitcells
setundef -init -undriven -zero
opt -full
opt_clean -purge
"""

_HIDDEN = {
    *((kind, "cnot1") for kind in ("reduce_or", "reduce_bool", "logic_not")), ("reduce_and", "cnot0"),
}

_ROOT = str(Path(__file__).resolve().parents[1]) + "/"


def _yosys(folder: Path, name: str, script: str) -> None:
    (folder / f"{name}.ys").write_text(script)
    run_script(folder, name)


def plant(design, folder: Path, *, count: int, seed: int) -> tuple[Path, list[Fault]]:
    """Plant ``count`` faults in a netlist; return the Verilog file and the faults.

    The module ``top`` has one more input, ``fault``: 0 for none, else the number of the fault that is there. Which
    places are chosen is the even sampling of Yosys's ``mutate -list``, by ``seed``, without clocks and without
    changes that a look at the cell shows to be none.

    Parameters
    ----------
    design : amaranth.lib.wiring.Component or pathlib.Path
        A component, or Verilog with one module ``top``.
    folder : pathlib.Path
        Where files are written; created.
    count, seed : int
    """
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(design, Path):
        (folder / "design.v").write_text(design.read_text())
        read = "read_verilog design.v\n"
    else:
        (folder / "design.il").write_text(rtlil.convert(design, name="top"))
        read = "read_rtlil design.il\n"
    _yosys(folder, "list", read + _PREPARE + (
        f"write_rtlil before.il\nmutate -list {2 * count} -seed {seed} -o candidates.txt\n"))
    cells = _cells(folder / "before.il")
    changes = [line for line in (folder / "candidates.txt").read_text().splitlines() if _changes(line, cells)][:count]
    faults = [_fault(number, change, cells) for number, change in enumerate(changes, start=1)]
    width = count.bit_length()
    selected = (f"{fault.change} -ctrl fault {width} {fault.number}\n" for fault in faults)
    _yosys(folder, "mutate", f"read_rtlil before.il\n{''.join(selected)}write_verilog -noattr mutants.v\n")
    return folder / "mutants.v", faults


def _cells(path: Path) -> dict[str, tuple[str, dict[str, str]]]:
    """Return the type of each cell of a netlist, and what is connected to its ports, by the cell's name."""
    cells = {}
    for kind, name, body in re.findall(r"^  cell (\S+) (\S+)\n(.*?)^  end$", path.read_text(), re.M | re.S):
        ports = dict(re.findall(r"^    connect \\(\S+) (.+)$", body, re.M))
        cells[name.lstrip("\\")] = kind.lstrip("$"), ports
    return cells


def _options(change: str) -> dict[str, list[str]]:
    words = change.split()
    options: dict[str, list[str]] = {}
    for option, value in zip(words, words[1:], strict=False):
        if option.startswith("-"):
            options.setdefault(option[1:], []).append(value)
    return options


def _changes(change: str, cells: dict) -> bool:
    """Return whether it is worth planting: no clock, and nothing that leaves the cell's output what it was.

    Both are frequent in Yosys's list. A clock that is stopped or inverted is no mistake that anybody makes in a design
    with one clock. A constant may take the place of the same constant; and an input of an OR that changes only while
    another one is 1, or of an AND while another one is 0, is never seen.
    """
    options = _options(change)
    kind, ports = cells[options["cell"][0].lstrip("\\")]
    port, bit, mode = options["port"][0], int(options["portbit"][0]), options["mode"][0]
    constant = re.fullmatch(r"\d+'([01x]+)", ports.get(port, ""))
    same = constant and constant[1][-1 - bit] == mode.removeprefix("const")
    hidden = port == "A" and (kind, mode) in _HIDDEN
    return not (port.endswith("CLK") or same or hidden)


def _fault(number: int, change: str, cells: dict) -> Fault:
    values = _options(change)
    wire = f"{values['wire'][0]}[{values['wirebit'][0]}]" if "wire" in values else ""
    sources = tuple(source.removeprefix(_ROOT) for source in values.get("src", ()))
    kind = cells[values["cell"][0].lstrip("\\")][0]
    return Fault(
        change, number, values["mode"][0], kind, values["port"][0], int(values["portbit"][0]),
        int(values.get("ctrlbit", ["-1"])[0]), wire, sources)


def hunt(
    unit: Unit, settings: Mapping[str, object], netlist: Path, faults: range, folder: Path, *, seed: int = 1,
    tests: str = "", tell: Callable[[int], None] = lambda done: None,
) -> dict[int, str]:
    """Run a unit's bench on faults of ``netlist``, by number; return the test that caught it by the fault's number.

    The netlist is that of ``unit`` at ``settings``. A fault that is not in the answer survived every test; ``tests`` is
    a regular expression for the names of tests that are run at all, ``seed`` that of the run. ``tell`` is called now
    and then with the number of the fault that was begun last.

    Raises
    ------
    BenchFailure
        The netlist without a fault fails a test, or the simulation stopped early.
    """
    verdicts = folder / "verdicts.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    verdicts.unlink(missing_ok=True)
    told = {
        **environment(unit.make_spec(settings), **unit.component_values(settings)),
        "VITRIC_BENCH": unit.bench, "VITRIC_FAULTS": f"{faults[0]} {faults[-1]}",
        "VITRIC_VERDICTS": str(verdicts.resolve()), "VITRIC_TESTS": tests,
    }
    failure, over = None, Event()

    def watch() -> None:
        while not over.wait(0.2):
            if verdicts.exists():
                tell(_read(verdicts)[1])

    Thread(target=watch, daemon=True).start()
    try:
        run_bench(netlist, test_module="vitric.sim.benches.mutants", build_dir=folder, seed=seed,
                  public=port_names(netlist, "top"), extra_env=told)
    except BenchFailure as error:
        failure = error
    finally:
        over.set()
    begun, last = _read(verdicts) if verdicts.exists() else ({}, 0)
    log = folder / "test.log"
    if failure is not None and not failure.failed:
        raise failure
    if 0 in begun:
        raise BenchFailure(f"{unit.bench} fails without a fault, in {begun[0]}", log)
    if last != faults[-1]:
        raise BenchFailure(f"the simulation ended at fault {last} of {faults[-1]}", log)
    return begun


def _read(path: Path) -> tuple[dict[int, str], int]:
    """Return the test that each fault was caught by, and the last fault that was begun."""
    open_tests: dict[int, str] = {}
    last = 0
    for line in path.read_text().rpartition("\n")[0].splitlines():  # the last line may not be whole yet
        verdict = json.loads(line)
        last = verdict["fault"]
        if verdict["verdict"] == "begun":
            open_tests[last] = verdict["test"]
        else:
            open_tests.pop(last, None)
    return open_tests, last
