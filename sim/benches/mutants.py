"""Every test of another bench, once for each fault of a netlist with a selector, in one simulation.

``VITRIC_BENCH`` names the other module, ``VITRIC_FAULTS`` the first and the last fault and ``VITRIC_VERDICTS`` the file
that gets one line of JSON per test; ``VITRIC_TESTS`` is a regular expression that chooses tests by name.

A fault that one test has caught is left out of the tests after it. Fault 0 is none: its tests must pass. A test that
begins counts as having caught its fault; only its good end takes that back, so that an error in any task of the bench,
and a timeout, count.
"""

import json
import os
import re
from copy import copy
from importlib import import_module

from cocotb.regression import Test, TestGenerator

_BENCH = import_module(os.environ["VITRIC_BENCH"])
_FIRST, _LAST = map(int, os.environ["VITRIC_FAULTS"].split())
_VERDICTS = os.environ["VITRIC_VERDICTS"]
_CHOSEN = re.compile(os.environ["VITRIC_TESTS"])
_caught: set[int] = set()


def _note(fault: int, test: str, verdict: str) -> None:
    with open(_VERDICTS, "a", encoding="utf-8") as file:
        file.write(json.dumps({"fault": fault, "test": test, "verdict": verdict}) + "\n")


async def _run(dut, fault: int, inner: Test) -> None:
    if fault in _caught:
        return
    dut.fault.value = fault
    _caught.add(fault)
    _note(fault, inner.name, "begun")
    await inner.func(dut, *inner.args, **inner.kwargs)
    _caught.discard(fault)
    _note(fault, inner.name, "passed")


def _tests() -> list[Test]:
    """Return the tests of the bench, those with the most stalls first: they catch most."""
    generators = [item for item in vars(_BENCH).values() if isinstance(item, TestGenerator)]
    found = [test for generator in generators for test in generator.generate_tests() if _CHOSEN.search(test.name)]
    return sorted(found, key=lambda test: -sum(value == "random" for value in test.kwargs.values()))


def _every() -> dict[str, Test]:
    """Return a test for no fault, each fault and test of the bench; cocotb finds them by their names in this module."""
    made = {}
    for fault in (0, *range(_FIRST, _LAST + 1)):
        for inner in _tests():
            test = copy(inner)  # keeps its time limit
            test.func, test.args, test.kwargs = _run, (), {"fault": fault, "inner": inner}
            test.name, test.module = f"fault_{fault}/{inner.name}", __name__
            made[test.name] = test
    return made


globals().update(_every())
