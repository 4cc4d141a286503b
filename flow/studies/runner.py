"""Runs the cases of a study, those that have no result yet, on one thread each."""

from collections.abc import Callable, Sequence
from typing import Any

from ..tasks import HERE, Workers, run_tasks
from . import study_named
from .store import Store
from .study import Case, Record, Study

__all__ = ["run_study"]


def _run(name: str, case: Case) -> dict[str, Any]:
    study = study_named(name)
    if not study.measured:
        return study.run(case)
    from vitric.golden.threads import torch_threads

    with torch_threads(1):
        return study.run(case)


def run_study(
    study: Study, cases: Sequence[Case], store: Store, *, workers: Workers = HERE,
    on_case: Callable[[Case, bool], None] | None = None,
) -> list[Record]:
    """Return the records of ``cases``, in their order.

    Parameters
    ----------
    study : Study
        A registered one; workers find it by its name.
    cases
    store : Store
        Results found here are not computed again; each new one is kept as soon as it is there, so that an interrupt
        costs the cases that are being computed and no others.
    workers : Workers
    on_case : function (case, kept), optional
        Called after each case; ``kept`` says that its result was there already.
    """
    results: dict[int, dict[str, Any]] = {}

    def done(index: int, result: dict[str, Any], kept: bool = False) -> None:
        if not kept:
            store.put(cases[index], result)
        results[index] = result
        if on_case is not None:
            on_case(cases[index], kept)

    missing = {}
    for index, case in enumerate(cases):
        if (result := store.get(case)) is None:
            missing[index] = dict(case)
        else:
            done(index, result, True)
    run_tasks(_run, study.name, missing, workers, on_result=done)
    return [{**case, **results[index]} for index, case in enumerate(cases)]
