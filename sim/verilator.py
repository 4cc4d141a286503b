"""cocotb's Verilator runner, without what makes it slow: a public model and a runtime library compiled each time."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import cocotb_tools.config
from cocotb_tools import runner as cocotb_runner
from vitric.toolchain import tools

__all__ = ["FLAGS", "RUNTIME_CACHE", "Verilator"]

FLAGS = (
    "-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-assert", "-Wno-fatal",
    "-CFLAGS", "-std=gnu++20 -O2",
)
"""Options of every build. Simulation is two-state: ``x`` and uninitialised state become whatever is fastest."""

RUNTIME_CACHE = Path("build", "verilator-runtime")
"""Where the compiled runtime library is kept, below the working directory."""

_DUMP = "tfp->dump(main_time);"
_DUMP_IN_WINDOW = """{
                static const char *b = getenv("VITRIC_WAVES_BEGIN"), *e = getenv("VITRIC_WAVES_END");
                static const double unit = 1000.0;  // main_time counts picoseconds, the variables nanoseconds
                static const double begin = (b ? atof(b) : 0.0) * unit, end = (e ? atof(e) : 1e15) * unit;
                if (main_time >= begin && main_time < end) tfp->dump(main_time);
            }"""


class Verilator(cocotb_runner.Verilator):
    """Runner for one build folder.

    It differs from cocotb's in that

    * ``--public-flat-rw`` is dropped: what Python reads or writes is named in a ``.vlt`` file among the sources
      (about four times faster simulation and three times faster build on a 256-MAC array);
    * the objects of Verilator's runtime library, which are the same for every model built with the same flags, are
      compiled once and then copied into each build folder (they are 85 % of the build of a small design);
    * a trace covers a window of simulated time, and is FST where the lz4 headers are installed.

    Parameters
    ----------
    environment : mapping of str to str
        Variables for Verilator and make: :func:`vitric.toolchain.tools.verilator_environment`.
    waves : bool
        Build and run with tracing. The variable ``WAVES``, which cocotb would obey here, has no effect.
    runtime_key : str
        Differs between builds whose runtime library differs (tool or flags).
    """

    def __init__(self, *, environment: Mapping[str, str], waves: bool, runtime_key: str):
        super().__init__()
        self._environment = dict(environment)
        self._traced = waves
        self._fst = waves and tools.has_header("lz4.h")
        trace = ("fst" if self._fst else "vcd") if waves else "plain"
        self._runtime = RUNTIME_CACHE.resolve() / f"{runtime_key[:16]}-{trace}"

    def main_program(self) -> Path:
        """Return the C++ main program: cocotb's own, with the trace window added when tracing."""
        original = Path(cocotb_tools.config.share_dir, "lib", "verilator", "verilator.cpp")
        if not self._traced:
            return original
        text = original.read_text()
        if text.count(_DUMP) != 1:
            raise RuntimeError(f"{original} has changed: expected {_DUMP!r} once")
        self.build_dir.mkdir(parents=True, exist_ok=True)
        patched = self.build_dir / "main.cpp"
        patched.write_text("#include <cstdlib>\n" + text.replace(_DUMP, _DUMP_IN_WINDOW))
        return patched

    def _waves_file(self) -> str:
        return "dump.fst" if self._fst else "dump.vcd"

    def _set_env_build(self) -> None:
        super()._set_env_build()
        self.env.update(self._environment)

    def _simulator_in_path_build_only(self) -> None:
        self.executable = tools.require("verilator").path

    def _build_command(self) -> list[list[str]]:
        self.waves = self._traced
        verilate, make = super()._build_command()
        verilate.remove("--public-flat-rw")
        original = str(Path(cocotb_tools.config.share_dir, "lib", "verilator", "verilator.cpp"))
        verilate[verilate.index(original)] = str(self.main_program())
        if self._traced:
            verilate[verilate.index("--trace")] = "--trace-fst" if self._fst else "--trace-vcd"
        return [verilate, make]

    def _test_command(self) -> list[list[str]]:
        self.waves = self._traced
        return super()._test_command()

    def _execute_cmds(self, cmds, cwd, stdout=None) -> None:
        for command in cmds:
            making = command[0] == "make"
            if making:
                self._seed_runtime()
            super()._execute_cmds([command], cwd, stdout)
            if making:
                self._keep_runtime()

    def _seed_runtime(self) -> None:
        """Put the kept runtime objects into the build folder; make sees them as newer than their sources."""
        if self._runtime.is_dir():
            for kept in self._runtime.iterdir():
                shutil.copyfile(kept, self.build_dir / kept.name)

    def _keep_runtime(self) -> None:
        """Keep the runtime objects of this build unless another build did."""
        if self._runtime.exists():
            return
        self._runtime.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=self._runtime.parent))
        for built in self.build_dir.glob("verilated*.o"):
            shutil.copyfile(built, fresh / built.name)
        try:
            os.rename(fresh, self._runtime)
        except OSError:  # another process was first
            shutil.rmtree(fresh)
