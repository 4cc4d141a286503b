"""Images that wait for the machine: one runs, the others know their place."""

import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Full", "Job", "Jobs"]

_KEPT = 64  # jobs that are done and can still be asked for


class Full(Exception):
    """So many images wait already that another one would wait too long."""


@dataclass(eq=False)
class Job:
    """An image on its way.

    Attributes
    ----------
    work : function
        Computes the answer.
    answer : dict or None
        What it gave, once it is done.
    error : str or None
        Why it gave nothing.
    """

    number: int
    work: Callable[[], dict]
    answer: dict | None = None
    error: str | None = None
    running: bool = False


class Jobs:
    """A queue for one worker.

    Parameters
    ----------
    limit : int
        Jobs that may wait or run at a time.
    """

    def __init__(self, limit: int):
        self.limit = limit
        self._numbers = itertools.count(1)
        self._jobs: OrderedDict[int, Job] = OrderedDict()
        self._there = threading.Condition()
        self._closed = False

    def add(self, work: Callable[[], dict]) -> Job:
        """Append a job; raise :exc:`Full` if too many are there."""
        with self._there:
            if sum(not self._done(job) for job in self._jobs.values()) >= self.limit:
                raise Full(f"{self.limit} images wait already")
            job = Job(next(self._numbers), work)
            self._jobs[job.number] = job
            while len(self._jobs) > self.limit + _KEPT:  # the oldest are done
                self._jobs.popitem(last=False)
            self._there.notify_all()
        return job

    def find(self, number: int) -> Job | None:
        """Return the job of a number; None if there is none, or no more."""
        return self._jobs.get(number)

    def place(self, job: Job) -> int:
        """Return how many jobs are before this one; 0 if it runs or is done."""
        with self._there:
            return sum(not self._done(other) for number, other in self._jobs.items() if number < job.number)

    def run(self) -> None:
        """Do jobs one after the other, as they come, until :meth:`close`."""
        while True:
            with self._there:
                self._there.wait_for(lambda: self._closed or self._next() is not None)
                if self._closed:
                    return
                job = self._next()
                job.running = True
            try:
                answer, error = job.work(), None
            except Exception as failure:
                answer, error = None, str(failure) or type(failure).__name__
            with self._there:
                job.answer, job.error, job.running = answer, error, False

    def close(self) -> None:
        """Have :meth:`run` return when the present job is done."""
        with self._there:
            self._closed = True
            self._there.notify_all()

    @staticmethod
    def _done(job: Job) -> bool:
        return job.answer is not None or job.error is not None

    def _next(self) -> Job | None:
        return next((job for job in self._jobs.values() if not self._done(job) and not job.running), None)
