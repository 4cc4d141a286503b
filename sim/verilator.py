"""cocotb's Verilator runner, without what makes it slow: a public model and a runtime library compiled each time."""

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import cocotb_tools.config
from cocotb_tools import runner as cocotb_runner
from platformdirs import user_cache_path
from vitric.toolchain import processes, tools

__all__ = ["FLAGS", "OPTIMIZE", "Verilator", "runtime_cache"]

FLAGS = (
    "-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-assert", "-Wno-fatal",
    "-CFLAGS", "-std=gnu++20",
)
"""Options of every build. Simulation is two-state: ``x`` and uninitialised state become whatever is fastest."""

OPTIMIZE = ("OPT_FAST=-O1", "OPT_SLOW=-O0", "OPT_GLOBAL=-O2")
"""Options of make: how the compiler optimizes what runs in every cycle, what runs once, and the runtime library.

``-O2`` takes 1.5 times as long as ``-O1`` and simulates no faster.
"""

_DUMP = "tfp->dump(main_time);"
_DUMP_IN_WINDOW = """{
                static const char *b = getenv("VITRIC_WAVES_BEGIN"), *e = getenv("VITRIC_WAVES_END");
                static const double unit = 1000.0;  // main_time counts picoseconds, the variables nanoseconds
                static const double begin = (b ? atof(b) : 0.0) * unit, end = (e ? atof(e) : 1e15) * unit;
                if (main_time >= begin && main_time < end) tfp->dump(main_time);
            }"""


def runtime_cache() -> Path:
    """Return where the compiled runtime libraries are kept for all projects of this user: about 1 MB each."""
    return user_cache_path("vitric", appauthor=False) / "verilator-runtime"


class Verilator(cocotb_runner.Verilator):
    """Runner for one build folder.

    It differs from cocotb's in that

    * ``--public-flat-rw`` is dropped: what Python reads or writes is named in a ``.vlt`` file among the sources
      (about four times faster simulation and three times faster build on a 256-MAC array);
    * the objects of Verilator's runtime library, which are the same for every model built with the same flags, are
      compiled once, kept in :func:`runtime_cache` and then copied into each build folder (they are 85 % of the build of
      a small design);
    * a trace covers a window of simulated time, and is FST where the lz4 headers are installed;
    * folders may have spaces in their names, which make cannot have: it works inside the build folder and sees
      Verilator through a link there;
    * Verilator, make and the simulation end with this process (:mod:`vitric.toolchain.processes`).

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
        self._runtime = runtime_cache() / f"{runtime_key[:16]}-{trace}"

    def main_program(self) -> str:
        """Return the C++ main program: cocotb's own, with the trace window added when tracing."""
        original = Path(cocotb_tools.config.share_dir, "lib", "verilator", "verilator.cpp")
        text = original.read_text()
        if not self._traced:
            return text
        if text.count(_DUMP) != 1:
            raise RuntimeError(f"{original} has changed: expected {_DUMP!r} once")
        return "#include <cstdlib>\n" + text.replace(_DUMP, _DUMP_IN_WINDOW)

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
        verilate[verilate.index("--public-flat-rw")] = "--no-MMD"  # make would read the names of sources
        (self.build_dir / "main.cpp").write_text(self.main_program())
        original = str(Path(cocotb_tools.config.share_dir, "lib", "verilator", "verilator.cpp"))
        verilate[verilate.index(original)] = "main.cpp"
        libraries = shlex.quote(str(cocotb_tools.config.libs_dir)).replace("$", "$$")
        changed = {"-Mdir": ".", "-LDFLAGS": f"-Wl,-rpath,{libraries} -L{libraries} -lcocotbvpi_verilator"}
        for option, value in changed.items():
            verilate[verilate.index(option) + 1] = value
        if self._traced:
            verilate[verilate.index("--trace")] = "--trace-fst" if self._fst else "--trace-vcd"
        if root := self._environment.get("VERILATOR_ROOT"):
            (self.build_dir / "root").symlink_to(root)
            self.env["VERILATOR_BIN"] = "root/bin/verilator_bin"
            make.append("VERILATOR_ROOT=root")
        make += OPTIMIZE
        make.append("CURDIR=.")  # verilated.mk looks for spaces in it
        return [verilate, make]

    def _test_command(self) -> list[list[str]]:
        self.waves = self._traced
        return super()._test_command()

    def _execute_cmds(self, cmds, cwd, stdout=None) -> None:
        errors = None if stdout is None else subprocess.STDOUT
        for command in cmds:
            making = command[0] == "make"
            if making:
                self._seed_runtime()
            with processes.started(command, cwd, environment=self.env, stdout=stdout, stderr=errors) as process:
                status = process.wait()
            if status:
                raise processes.failure(Path(command[0]).name, status, Path(self.log_file or cwd))
            if making:
                self._keep_runtime()

    def _seed_runtime(self) -> None:
        """Put the kept runtime objects into the build folder; make sees them as newer than their sources."""
        if self._runtime.is_dir():
            for kept in self._runtime.iterdir():
                shutil.copyfile(kept, self.build_dir / kept.name)

    def _keep_runtime(self) -> None:
        """Keep the runtime objects of this build unless another build did, or nothing can be kept there."""
        if self._runtime.exists():
            return
        try:
            self._runtime.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._runtime.parent, ignore_cleanup_errors=True) as fresh:
                for built in self.build_dir.glob("verilated*.o"):
                    shutil.copyfile(built, Path(fresh, built.name))
                os.rename(fresh, self._runtime)
        except OSError:  # another process was first, or the folder cannot be written
            return
