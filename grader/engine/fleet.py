"""Many workers, on this machine or on many: dask.distributed hands out submissions and brings results back in their order.

A worker keeps the warm processes of the chapter that it graded last. What it is sent is the plan of a chapter and the cells of a
submission; it needs nothing of the course but the environment and `data/`.
"""

from __future__ import annotations

import atexit
import logging
import os
import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

import dask
import distributed
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

from grader.engine.confine import Limits
from grader.engine.grade import ChapterGrader, Result
from grader.engine.plan import Plan, Task
from grader.errors import GraderError

LOST = "lost"  # outcome of a submission whose workers end again and again, which nothing inside a sandbox can do
AHEAD = 8  # submissions for each worker that are handed out at a time: enough to go on beside an endless one, few enough for the memory
# What dask watches and keeps of itself costs half as much as all that we do beside the workers, and grows with the class.
QUIET = {
    "distributed.worker.daemon": False,
    "distributed.worker.profile.enabled": False,
    "distributed.comm.timeouts.connect": "30s",
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.log-length": 100,
    "distributed.admin.low-level-log-length": 100,
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.admin.system-monitor.log-length": 10,
    "distributed.admin.system-monitor.disk": False,
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.diagnostics.nvml": False,
    "distributed.diagnostics.computations.max-history": 1,
    "distributed.scheduler.active-memory-manager.start": False,
}

Other = TypeVar("Other")

_grader: ChapterGrader | None = None  # of this worker
_made_for: tuple[object, ...] = ()


class Fleet:
    """Workers that grade; a cluster of this machine's own unless `scheduler` gives the address of another. Use it as a context manager."""

    def __init__(self, data: Path, workers: int | None = None, scheduler: str | None = None, *, sandboxed: bool = True) -> None:
        self.data, self.sandboxed = data, sandboxed
        dask.config.set(QUIET)
        self._cluster: Any = None
        if scheduler is None:
            count = workers or os.cpu_count() or 1
            self._cluster = distributed.LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                worker_dashboard_address="127.0.0.1:0",
                memory_limit=0,  # the sandbox limits what grows
                silence_logs=logging.CRITICAL,
            )
        try:
            self._client = distributed.Client(self._cluster or scheduler, timeout=30, set_as_default=False)
        except OSError as error:
            raise GraderError(
                f"{scheduler}: no scheduler answers: {error}\n    remedy: start one (`dask scheduler`), and workers"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()

    @property
    def workers(self) -> int:
        """How many workers there are now, at least one."""
        return max(1, len(self._client.nthreads()))

    def grade(self, tasks: Iterable[tuple[Plan, Task] | Other]) -> Iterator[tuple[Plan, Task, Result] | Other]:
        """Yield each task with its result, in the order of `tasks`, whatever the order in which they end; what is no task as it is.

        The outcome of a result is LOST where it says nothing about the submission. Raises GraderError where the workers are lost.
        """
        waiting: deque[tuple[Any, Any]] = deque()
        for task in tasks:
            with _telling_of_lost_workers():
                full = len(waiting) >= AHEAD * self.workers
            if full:
                yield self._next(waiting)
            waiting.append((task, self._submit(*task) if isinstance(task, tuple) else None))
        while waiting:
            yield self._next(waiting)

    def _submit(self, plan: Plan, task: Task) -> Any:
        with _telling_of_lost_workers():
            key = f"{plan.chapter}-{uuid.uuid4().hex}"  # dask keeps statistics for ever of what it takes for another kind of task
            return self._client.submit(_grade, plan, task, self.data, self.sandboxed, pure=False, key=key)

    def _next(self, waiting: deque[tuple[Any, Any]]) -> Any:
        task, future = waiting.popleft()
        if future is None:
            return task
        with _telling_of_lost_workers():
            for again in (True, False):  # dask lays the end of a worker at the door of all that it had, the innocent too
                try:
                    return *task, future.result()
                except KilledWorker:
                    if again:
                        future = self._submit(*task)
        return *task, Result(LOST, "every worker that had it ended")


@contextmanager
def _telling_of_lost_workers() -> Iterator[None]:
    try:
        yield
    except (CancelledError, CommClosedError, OSError) as error:
        remedy = "see to the scheduler; then run this again, it goes on where it stopped"
        raise GraderError(f"the workers are lost: {type(error).__name__}: {error}\n    remedy: {remedy}") from error


def _grade(plan: Plan, task: Task, data: Path, sandboxed: bool) -> Result:
    """Grade one submission in a worker."""
    global _grader, _made_for
    wanted = (plan.fingerprint, plan.seconds, data, sandboxed)
    if _grader is None or _made_for != wanted:
        if _grader is not None:
            _grader.close()
            _grader = None
        _grader = ChapterGrader(plan, data, Limits(seconds=round(plan.seconds.submission)), sandboxed=sandboxed)
        _made_for = wanted
        atexit.register(_grader.close)
    return _grader.grade(task)
