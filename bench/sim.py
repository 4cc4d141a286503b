"""Wall time and peak memory of `vitric sim`, beside the cycles and speed that it reports.

    python bench/sim.py --config digits [--images 32] [--json FILE]

The first run in a fresh checkout includes building the simulator; run twice to see both.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from vitric.flow.start import run
from vitric.golden.files import write_json

KEYS = ("images", "values_compared", "values_differ", "cycles_per_image", "mac_bound_cycles", "array_utilization",
        "array_busy", "verilator_cycles_per_second", "simulation_seconds", "build_seconds")


def main() -> int:
    """Run the simulation in a process of its own and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="digits")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON; - is stdout")
    arguments = parser.parse_args()

    command = [str(Path(sys.executable).with_name("vitric")), "sim", "--config", arguments.config,
               "--images", str(arguments.images), "--json", "-"]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    if done.returncode not in (0, 1):
        sys.stderr.write(done.stderr)
        return done.returncode
    figures = json.loads(done.stdout)
    # Kilobytes on Linux: the largest process of the run (vitric, Verilator, compiler or simulation).
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    result = {"config": arguments.config, "seconds": round(seconds, 1), "peak_memory_bytes": peak,
              **{key: figures[key] for key in KEYS}}
    if arguments.json:
        write_json(arguments.json, result)
    else:
        for key, value in result.items():
            print(f"{key:>30}  {value}")
    return done.returncode


if __name__ == "__main__":
    run(main)
