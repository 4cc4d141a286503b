"""Runs the cases of a study, those that have no result yet, on one thread each."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from vitric.golden.errors import UserError

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
    study: Study, cases: Sequence[Case], store: Store, *, jobs: int = 1,
    on_case: Callable[[Case, bool], None] | None = None,
) -> list[Record]:
    """Return the records of ``cases``, in their order.

    Parameters
    ----------
    study : Study
        A registered one; other processes find it by its name.
    cases
    store : Store
        Results found here are not computed again; each new one is kept as soon as it is there, so that an interrupt
        costs the cases that are being computed and no others.
    jobs : int
        Processes.
    on_case : function (case, kept), optional
        Called after each case; ``kept`` says that its result was there already.
    """
    results: dict[int, dict[str, Any]] = {}

    def done(index: int, result: dict[str, Any], kept: bool) -> None:
        if not kept:
            store.put(cases[index], result)
        results[index] = result
        if on_case is not None:
            on_case(cases[index], kept)

    missing = []
    for index, case in enumerate(cases):
        if (result := store.get(case)) is None:
            missing.append(index)
        else:
            done(index, result, True)
    if jobs == 1:
        for index in missing:
            done(index, _run(study.name, cases[index]), False)
    else:
        _run_side_by_side(study, cases, missing, jobs, done)
    return [{**case, **results[index]} for index, case in enumerate(cases)]


def _run_side_by_side(
    study: Study, cases: Sequence[Case], missing: Sequence[int], jobs: int,
    done: Callable[[int, dict[str, Any], bool], None],
) -> None:
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import active_children, get_context

    context = get_context("spawn")  # torch and fork do not go together
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_end_with_parent) as pool:
        try:
            with _without_interrupts():  # which the processes inherit: Ctrl-C is for this one, which ends them
                futures = {pool.submit(_run, study.name, dict(cases[index])): index for index in missing}
            for future in as_completed(futures):
                done(futures[future], future.result(), False)
        except BrokenProcessPool as error:
            raise UserError("a process of --jobs was ended from outside, perhaps for want of memory; fewer --jobs need "
                            "less") from error
        except BaseException:
            for process in active_children():
                process.kill()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def _without_interrupts() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    """Let a process of a pool end when the one that started it does, however that ends."""
    from multiprocessing import parent_process

    def watch() -> None:
        parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
