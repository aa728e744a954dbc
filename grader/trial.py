"""Runs many variants of a chapter's answers against its checks, each in a process forked from one that has the setup cells done.

Who calls it: `grader.audit`. The code that runs here is the lesson's own, so nothing is sandboxed; but a mutant may loop,
crash or eat memory, hence a process, a time limit and a memory limit for each.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self

from grader.engine import plain, state
from grader.environment import ONE_THREAD, limit_memory, silence
from grader.errors import GraderError

SETUP_TIMEOUT = 120.0  # seconds


class Status(Enum):
    """How a cell ended."""

    PASSED = "passed"
    FAILED = "failed"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Step:
    """One cell to run: its id and its source."""

    id: str
    source: str


@dataclass(frozen=True)
class Trial:
    """Cells to run in order on top of the setup cells; with `first_failure`, a failing step ends the trial."""

    label: str
    steps: tuple[Step, ...]
    first_failure: bool = False


@dataclass(frozen=True)
class Outcome:
    """How one step ended, with the exception's name and text, and the seconds it took."""

    status: Status
    message: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Result:
    """The outcome of each step of a trial, by id; of steps with one id, the last's."""

    trial: Trial
    outcomes: dict[str, Outcome]

    def lost(self, steps: Sequence[str]) -> tuple[str, ...]:
        """Return those of `steps` that did not pass."""
        return tuple(step for step in steps if self.outcomes[step].status is not Status.PASSED)


class Workshop:
    """A process that has a chapter's setup cells done and forks for every trial.

    Use it as a context manager. Raises GraderError where a setup cell fails or hangs.
    """

    def __init__(self, folder: Path, setup: Sequence[Step], jobs: int = 2) -> None:
        self.folder, self.setup, self.jobs = folder, tuple(setup), jobs

    def __enter__(self) -> Self:
        context = multiprocessing.get_context("spawn")
        self._pipe, far_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(far_end, self.folder, self.setup, self.jobs), daemon=False)
        self._process.start()
        far_end.close()
        problem = self._receive(SETUP_TIMEOUT, "the setup cells did not end")
        if problem:
            self._stop()
            raise GraderError(f"{self.folder}: {problem}\n    remedy: mend the setup cell; run it in JupyterLab to see more")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop()

    def run(self, trials: Sequence[Trial], timeout: float) -> list[Result]:
        """Run every trial, each for at most `timeout` seconds, and return the results in the order of `trials`."""
        self._pipe.send((tuple(trials), timeout))
        budget = SETUP_TIMEOUT + timeout * len(trials) / self.jobs
        results: list[Result] = self._receive(budget, "the trials did not end")
        return results

    def _receive(self, timeout: float, otherwise: str) -> Any:
        if not self._pipe.poll(timeout):
            self._stop()
            raise GraderError(f"{self.folder}: {otherwise} within {timeout:.0f} s\n    remedy: look for an endless loop")
        try:
            return self._pipe.recv()
        except EOFError:
            self._stop()
            raise GraderError(
                f"{self.folder}: the process that held the setup cells died\n    remedy: look for a crash in a setup cell"
            ) from None

    def _stop(self) -> None:
        self._pipe.close()
        self._process.join(2)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _serve(pipe: Connection, folder: Path, setup: tuple[Step, ...], jobs: int) -> None:
    os.environ.update(ONE_THREAD, MPLBACKEND="Agg", CUDA_VISIBLE_DEVICES="")
    os.chdir(folder)
    silence()
    module = ModuleType("__main__")
    sys.modules["__main__"] = module  # dataclasses and pickle look a class's module up
    for step in setup:
        outcome = _run(step, module.__dict__)
        if outcome.status is not Status.PASSED:
            pipe.send(f"setup cell '{step.id}' fails: {outcome.message}")
            return
    state.warm_up()
    pipe.send(None)
    with contextlib.suppress(EOFError):
        while True:
            trials, timeout = pipe.recv()
            pipe.send(list(_run_all(trials, timeout, jobs, module.__dict__)))


@dataclass
class _Running:
    """A trial under way."""

    index: int
    trial: Trial
    process: ForkProcess
    deadline: float
    outcomes: dict[str, Outcome]


def _run_all(trials: Sequence[Trial], timeout: float, jobs: int, namespace: dict[str, Any]) -> Iterator[Result]:
    """Fork for each trial, at most `jobs` at a time, and yield the results in the order of `trials`."""
    waiting = list(enumerate(trials))[::-1]
    running: dict[Connection, _Running] = {}
    done: dict[int, Result] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            index, trial = waiting.pop()
            pipe, process = _fork(trial, namespace)
            running[pipe] = _Running(index, trial, process, time.monotonic() + timeout, {})
        earliest = min(entry.deadline for entry in running.values())
        for ready in wait(list(running), max(0.0, earliest - time.monotonic())):
            assert isinstance(ready, Connection)
            try:
                step, outcome = ready.recv()
                running[ready].outcomes[step] = outcome
            except (EOFError, OSError):
                entry = running.pop(ready)
                ready.close()
                entry.process.join()
                done[entry.index] = _result(entry, Status.CRASHED)
        for pipe, entry in list(running.items()):
            if time.monotonic() > entry.deadline:
                entry.process.kill()
                entry.process.join()
                pipe.close()
                del running[pipe]
                done[entry.index] = _result(entry, Status.TIMEOUT)
    for index in range(len(trials)):
        yield done[index]


def _fork(trial: Trial, namespace: dict[str, Any]) -> tuple[Connection, ForkProcess]:
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_perform, args=(trial, namespace, sender))
    process.start()
    sender.close()
    return receiver, process


def _result(entry: _Running, ended: Status) -> Result:
    """Fill in the steps that sent no outcome: the first is the one at which the trial ended, the rest were not reached."""
    outcomes = dict(entry.outcomes)
    failed = any(outcome.status is Status.FAILED for outcome in outcomes.values())
    status = Status.SKIPPED if entry.trial.first_failure and failed else ended
    for step in entry.trial.steps:
        if step.id not in outcomes:
            outcomes[step.id] = Outcome(status, f"{status.value} here or before")
    return Result(entry.trial, outcomes)


def _perform(trial: Trial, namespace: dict[str, Any], pipe: Connection) -> None:
    limit_memory()
    for step in trial.steps:
        outcome = _run(step, namespace)
        pipe.send((step.id, outcome))
        if trial.first_failure and outcome.status is Status.FAILED:
            break
    pipe.close()
    os._exit(0)  # no atexit handlers of libraries that the parent imported


def _run(step: Step, namespace: dict[str, Any]) -> Outcome:
    state.seed(step.id)
    start = time.perf_counter()
    try:
        exec(compile(step.source, f"<{step.id}>", "exec"), namespace)
    except BaseException as error:  # also SystemExit and KeyboardInterrupt: a cell that raises has failed
        return Outcome(Status.FAILED, f"{type(error).__name__}: {plain.text_of(error)}", time.perf_counter() - start)
    return Outcome(Status.PASSED, seconds=time.perf_counter() - start)
