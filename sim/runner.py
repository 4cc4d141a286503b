"""Build a design with Verilator and run cocotb tests on it: the one runner of all benches.

A build is kept as long as its sources, flags and tools are the same, so that a second run starts at once.
"""

import hashlib
import json
import os
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from vitric.golden.errors import ToolFailure
from vitric.toolchain import tools
from vitric.toolchain.folders import locked
from vitric.toolchain.processes import last_lines, variables
from vitric.toolchain.verilog import port_names, to_verilog

from .verilator import FLAGS, OPTIMIZE, Verilator

__all__ = ["BUILD", "BenchFailure", "BenchResult", "build_model", "run_bench"]

BUILD = "model"
"""Folder of the build, in the folder of the bench: whole, with a stamp that was written last, or built again."""


class BenchFailure(ToolFailure):
    """A build or a cocotb test failed.

    Attributes
    ----------
    failed : dict of str to str
        Message of every failing test by its name; empty when the build or the simulator itself failed.
    """

    def __init__(self, message: str, log: Path, failed: Mapping[str, str] | None = None):
        self.failed = dict(failed or {})
        super().__init__(message, log, [*(f"  {name}: {text}" for name, text in self.failed.items()), *last_lines(log)])


@dataclass(frozen=True)
class BenchResult:
    """What a run gave.

    Attributes
    ----------
    tests : tuple of str
        Names of the cocotb tests; all passed.
    log : pathlib.Path
        Output of the simulation.
    build_seconds, test_seconds : float
        Wall time of conversion and build (near 0 when the build was kept) and of the simulation.
    """

    tests: tuple[str, ...]
    log: Path
    build_seconds: float
    test_seconds: float


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, default=str, sort_keys=True).encode()).hexdigest()


def _write_if_new(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def _control_file(module: str, public: Iterable[str]) -> str:
    lines = [f'public_flat_rw -module "{module}" -var "{name}"' for name in public]
    return "\n".join(["`verilator_config", *lines, ""])


def build_model(
    dut, *, build_dir: str | os.PathLike, name: str = "top", toplevel: str | None = None,
    public: Sequence[str] | None = None, extra_sources: Sequence[str | os.PathLike] = (),
    parameters: Mapping[str, object] | None = None, timing: bool = False, waves: bool = False,
    build_args: Sequence[str] = (),
) -> Verilator:
    """Build the simulator of a design in ``build_dir``, or keep the one that is there; see :func:`run_bench`.

    Returns
    -------
    vitric.sim.verilator.Verilator
        The runner, ready for its ``test`` method.

    Raises
    ------
    BenchFailure
        Verilator or the C++ compiler failed.
    vitric.golden.errors.UserError
        There is no Verilator.
    """
    folder = Path(build_dir).resolve()
    top = toplevel or name
    with locked(folder):
        if isinstance(dut, (str, os.PathLike)):
            sources = [Path(dut)]
        elif isinstance(dut, Iterable):
            sources = [Path(source) for source in dut]
        else:
            sources = [to_verilog(dut, folder / f"{name}.v", name=name)]
            if public is None and top == name:
                public = port_names(sources[0], name)
        sources += [Path(source) for source in extra_sources]
        control = folder / "public.vlt"
        _write_if_new(control, _control_file(top, ["*"] if public is None else public))

        tool = tools.require("verilator")
        flags = [*FLAGS, "--timing" if timing else "--no-timing", *build_args]
        environment = tools.verilator_environment()
        model_only = ("-D", "-G", "-W", "-I", "+")  # options that the runtime library does not see
        runtime_flags = [flag for flag in flags if not flag.startswith(model_only)]
        runtime_key = _digest(tool.path, tool.version, environment["MAKEFLAGS"], runtime_flags, OPTIMIZE)
        runner = Verilator(environment=environment, waves=waves, runtime_key=runtime_key)
        digest = _digest(
            [source.read_text() for source in (control, *sources)], flags, top, dict(parameters or {}), waves,
            tool.path, tool.version, runner.main_program(), OPTIMIZE,
        )
        built, log = folder / BUILD, folder / "build.log"
        stamp = built / "stamp.sha256"
        runner.build_dir, runner.parameters = built, dict(parameters or {})
        if not (stamp.exists() and stamp.read_text() == digest):
            stamp.unlink(missing_ok=True)
            shutil.rmtree(built, ignore_errors=True)  # what a build that was interrupted has left would be trusted
            try:
                with variables({}):
                    runner.build(
                        sources=[control, *sources], hdl_toplevel=top, build_dir=built, build_args=flags,
                        parameters=dict(parameters or {}), timescale=("1ns", "1ps"), log_file=log,
                    )
            except ToolFailure as error:
                raise BenchFailure(f"building {top} with Verilator failed: {error.summary}", log) from error
            stamp.write_text(digest)
    return runner


def _read_results(results: Path) -> tuple[list[str], dict[str, str]]:
    """Return the names of all tests and the messages of those that did not pass (a skipped one did not)."""
    names, failed = [], {}
    for case in ElementTree.parse(results).getroot().iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        names.append(name)
        bad = next((child for kind in ("failure", "error", "skipped") if (child := case.find(kind)) is not None), None)
        if bad is not None:
            kind, message = bad.get("error_type") or bad.tag, bad.get("error_msg") or bad.get("message") or ""
            failed[name] = ": ".join(filter(None, (kind, message)))
    return names, failed


def run_bench(
    dut, *, test_module: str, build_dir: str | os.PathLike, name: str = "top", toplevel: str | None = None,
    public: Sequence[str] | None = None, extra_sources: Sequence[str | os.PathLike] = (),
    parameters: Mapping[str, object] | None = None, extra_env: Mapping[str, str] | None = None, seed: int = 1,
    timing: bool = False, waves: bool = False, build_args: Sequence[str] = (), test_filter: str | None = None,
    echo: bool = False,
) -> BenchResult:
    """Build a design with Verilator and run the cocotb tests of a Python module on it.

    Parameters
    ----------
    dut : amaranth.lib.wiring.Component, path, or iterable of paths
        The design: a component, or Verilog and SystemVerilog files.
    test_module : str
        Module with the ``@cocotb.test`` functions, for example ``"vitric.sim.bench_streams"``; several with commas.
    build_dir : path-like
        Folder for everything that is written. One folder per design and parameter set: a folder that serves two is
        rebuilt each time.
    name : str
        Verilog module name given to a component.
    toplevel : str, optional
        Module to simulate; ``name`` if left out. Another one when ``extra_sources`` hold a harness around the
        component.
    public : sequence of str, optional
        Signals of ``toplevel`` that Python reads or writes. Default: the ports of a component that is itself the
        top level, otherwise every signal of the top-level module. Nothing below it is reachable, which is what
        makes the model several times faster than cocotb's stock build.
    extra_sources : sequence of path-like
        Further Verilog files.
    parameters : mapping, optional
        Verilog parameters of ``toplevel``.
    extra_env : mapping of str to str, optional
        Variables for the test module.
    seed : int
        Seed of the run; cocotb derives from it the ``cocotb.RANDOM_SEED`` that each test sees.
    timing : bool
        Allow delays and event controls in Verilog (a harness that makes its own clock).
    waves : bool
        Trace every signal to ``dump.fst`` (``dump.vcd`` where the lz4 headers are missing) in ``build_dir``, over
        the window that the variables ``VITRIC_WAVES_BEGIN`` and ``VITRIC_WAVES_END`` (in ns, in ``extra_env``) give.
    build_args : sequence of str
        Further options for Verilator.
    test_filter : str, optional
        Regular expression: run only tests whose full name matches.
    echo : bool
        Let the simulation write to this process's output as it runs, instead of to the log only.

    Returns
    -------
    BenchResult
        Every test passed.

    Raises
    ------
    BenchFailure
        The build failed, a test failed or was skipped, no test was found, or the simulator stopped early.
    """
    started = perf_counter()
    folder, top = Path(build_dir).resolve(), toplevel or name
    with locked(folder):
        runner = build_model(
            dut, build_dir=folder, name=name, toplevel=toplevel, public=public, extra_sources=extra_sources,
            parameters=parameters, timing=timing, waves=waves, build_args=build_args,
        )
        built = perf_counter()
        results, log = folder / "results.xml", folder / "test.log"
        log.unlink(missing_ok=True)
        stopped = None
        try:
            with variables({}):
                runner.test(
                    test_module=test_module, hdl_toplevel=top, hdl_toplevel_lang="verilog", seed=seed,
                    build_dir=folder / BUILD, test_dir=folder, results_xml=str(results),
                    extra_env=dict(extra_env or {}), log_file=None if echo else log, test_filter=test_filter,
                )
        except ToolFailure as error:  # the reason is in results.xml, if the simulator got that far
            stopped = error.summary
        except SystemExit as error:  # under pytest
            stopped = f"status {error.code}"
        if not results.exists():
            raise BenchFailure(f"the simulation of {top} stopped without results: {stopped}", log)
        names, failed = _read_results(results)
    if failed:
        raise BenchFailure(f"{len(failed)} of {len(names)} tests of {test_module} failed (seed {seed})", log, failed)
    if stopped is not None:
        raise BenchFailure(f"the simulation of {top} failed: {stopped}", log)
    if not names:
        raise BenchFailure(f"{test_module} has no test" + (f" that matches {test_filter}" if test_filter else ""), log)
    return BenchResult(tuple(names), log, built - started, perf_counter() - built)
