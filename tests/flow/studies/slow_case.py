"""A study in two processes whose cases take for ever: ``python -m tests.flow.studies.slow_case FOLDER``."""

import os
import sys
import time
from pathlib import Path

from vitric.flow.start import run
from vitric.flow.studies import roofline, runner
from vitric.flow.studies.store import Store
from vitric.flow.tasks import Workers


def compute(name, case):
    """Stand in for :func:`vitric.flow.studies.runner._run`; the processes import this module for it."""
    Path(os.environ["SLOW_CASES"], f"{os.getpid()}.id").touch()
    time.sleep(60)


def main():
    """Run it."""
    folder = os.environ["SLOW_CASES"] = sys.argv[1]
    runner._run = compute
    study = roofline.STUDY
    runner.run_study(study, study.cases("tiny", None)[:2], Store(Path(folder), study), workers=Workers(2))


if __name__ == "__main__":
    from tests.flow.studies import slow_case  # its name in the processes

    run(slow_case.main)
