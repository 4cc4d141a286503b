"""Tasks one after the other in this process, or side by side on workers of dask.distributed.

dask is imported only where it is used: one local process, the default, needs none of it.
"""

import logging
import os
import pickle
import signal
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar

from vitric.golden.errors import UserError

from .inputs.sources import source_digest

if TYPE_CHECKING:
    from distributed import Client, Nanny

__all__ = ["HERE", "Workers", "run_tasks"]

K, C, T, R = TypeVar("K"), TypeVar("C"), TypeVar("T"), TypeVar("R")

_PACKAGES = ("golden", "hdl", "compiler", "toolchain", "boards", "integration", "sim", "formal", "flow")
_ANSWER_SECONDS = 10  # until a scheduler must have answered
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Workers:
    """Where tasks run.

    Attributes
    ----------
    jobs : int
        Processes of this machine; 1 is this process itself, more are workers that end with it.
    scheduler : str, optional
        Address of a scheduler, ``"tcp://host:port"``, whose workers take the tasks instead. They must have the same
        sources of vitric.
    """

    jobs: int = 1
    scheduler: str | None = None

    def __post_init__(self):
        if self.jobs != 1 and self.scheduler is not None:
            raise UserError("--jobs and --scheduler exclude each other: a scheduler has its own workers")

    @property
    def here(self) -> bool:
        """Whether tasks run in this process, one after the other."""
        return self.jobs == 1 and self.scheduler is None

    def count(self) -> int:
        """Return how many tasks run at once; asks the scheduler, if there is one.

        Raises
        ------
        UserError
            The scheduler does not answer, or has no workers.
        """
        if self.scheduler is None:
            return self.jobs
        with self._client() as client:
            return len(client.nthreads())

    @contextmanager
    def _client(self) -> "Iterator[Client]":
        import distributed  # whose import sets the levels of its logs

        logging.getLogger(distributed.__name__).setLevel(logging.CRITICAL)  # what matters is an error here
        with _local_cluster(self.jobs) if self.scheduler is None else _remote(self.scheduler) as client:
            yield client


HERE = Workers()
"""This process."""


def run_tasks(
    function: Callable[[C, T], R], common: C, tasks: Mapping[K, T], workers: Workers = HERE, *,
    on_result: Callable[[K, R], None] | None = None,
) -> dict[K, R]:
    """Return ``function(common, task)`` for each of ``tasks``, by key, in their order.

    Elsewhere than in this process a task runs again when its worker was lost, and a process runs one task at a time.
    Whatever ends this call, an error of a task and Ctrl-C as well, ends local workers at once and takes back the tasks
    that a scheduler has not begun.

    Parameters
    ----------
    function : function (common, task)
        Of a module. It may run more than once for a task, so equal arguments must give equal results, and it must not
        count on files of this machine.
    common
        What all tasks need; sent to each worker once.
    tasks : mapping
        By any key.
    workers : Workers
    on_result : function (key, result), optional
        Called in this process as soon as a result is there.

    Raises
    ------
    UserError
        The scheduler does not answer or has no workers; a worker has other sources; or workers were lost again and
        again with the same task.
    Exception
        What ``function`` raised.
    """
    results = {}

    def done(key: K, result: R) -> None:
        results[key] = result
        if on_result is not None:
            on_result(key, result)

    if workers.here:
        for key, task in tasks.items():
            done(key, function(common, task))
    elif tasks:
        with workers._client() as client:
            _run_there(client, function, common, tasks, done)
    return {key: results[key] for key in tasks}


def _run_there(client: "Client", function: Callable, common: Any, tasks: Mapping, done: Callable) -> None:
    from asyncio import CancelledError

    import dask
    from distributed import KilledWorker, as_completed

    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):  # about data in a task
        shared = client.submit(_unpacked, zlib.compress(pickle.dumps(common), 1), pure=False)  # made again if lost
    keys = {client.submit(_call, function, _sources(), shared, task, pure=False): key for key, task in tasks.items()}
    try:
        for future in as_completed(keys):
            done(keys[future], future.result())
    except KilledWorker as error:
        raise UserError("workers were lost again and again with the same task, perhaps for want of memory; fewer "
                        "--jobs need less") from error
    except CancelledError as error:
        raise UserError("the scheduler was lost") from error


def _unpacked(packed: bytes) -> Any:
    return pickle.loads(zlib.decompress(packed))


def _call(function: Callable, sources: str, common: Any, task: Any) -> Any:
    """Run a task on a worker."""
    if sources != _sources():
        raise UserError(f"a worker has vitric {version('vitric')} from other sources than this process: they were "
                        "changed meanwhile, or are installed otherwise")
    with _one_at_a_time:
        return function(common, task)


@cache
def _sources() -> str:
    return source_digest(_PACKAGES)


@contextmanager
def _local_cluster(jobs: int) -> "Iterator[Client]":
    """Start processes for the duration of a block, with one thread each."""
    from multiprocessing import resource_tracker

    from distributed import Client, LocalCluster

    resource_tracker.ensure_running()  # whose start would let interrupts through again
    with _without_interrupts():  # which threads and processes inherit: Ctrl-C is for this one, which ends them
        cluster = LocalCluster(
            n_workers=jobs, threads_per_worker=1, memory_limit=None, silence_logs=logging.CRITICAL,
            dashboard_address="127.0.0.1:0", scheduler_kwargs={"dashboard": False})
    with cluster:
        try:
            with Client(cluster) as client:
                yield client
        finally:
            for nanny in cluster.workers.values():
                _end(nanny)


def _end(nanny: "Nanny") -> None:
    """Kill a worker; one that is just being started again cannot be closed before it has begun."""
    from distributed import Status

    nanny.close_gracefully()  # does not start it again
    begun = time.monotonic()
    while (nanny.process is not None and nanny.process.status in (Status.init, Status.starting) and nanny.pid is None
           and time.monotonic() - begun < _ANSWER_SECONDS):
        time.sleep(0.01)
    with suppress(TypeError, ProcessLookupError):  # it has just ended
        os.kill(nanny.pid, signal.SIGKILL)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _remote(address: str) -> "Iterator[Client]":
    """Use a scheduler for the duration of a block, after it has answered that it is one and has workers."""
    import asyncio

    from distributed import Client, rpc

    async def identity() -> dict:
        async with rpc(address) as scheduler:
            return await scheduler.identity()

    try:
        found = asyncio.run(asyncio.wait_for(identity(), _ANSWER_SECONDS))
    except (OSError, TimeoutError, ValueError) as error:
        raise UserError(f"--scheduler must be the address of a scheduler of dask that runs, such as "
                        f"tcp://127.0.0.1:8786; {address!r} does not answer as one") from error
    if found["type"] != "Scheduler":
        raise UserError(f"--scheduler must be the address of a scheduler, not of a {found['type'].lower()}")
    if not found["workers"]:
        raise UserError(f"the scheduler {address} has no workers; start some: dask worker {address} --nthreads 1")
    with Client(address, timeout=_ANSWER_SECONDS) as client:
        yield client
