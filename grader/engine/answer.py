"""Runs a student's cells and the questions of the checks, inside the sandbox; nothing here is trusted once a cell has run.

A job is a list of steps `[kind, id, source, seconds, owner]` in the order of the notebook. `run` is a cell, run as JupyterLab
would run it, by IPython, magics and all; `ask` is the questions of a check; `new` forgets every name but the setup cells'. The
steps of one owner may take twice `seconds` together. What comes back, as it happens:

    ["began", step]                            the position of a step in the job
    ["ran", step, name, text, seconds]         how a cell or a set of questions ended, without a name well, and its processor time
    ["answered", step, site, "value", data]    what came back for a question, as `grader.engine.plain` encodes it
    ["answered", step, site, "error", data]
    ["done"]
"""

from __future__ import annotations

import signal
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

import msgpack

from grader.engine import plain, state
from grader.engine.setup import Setup
from grader.engine.split import ASK

MAX_JOB = 64 * 2**20
LEAST_SECONDS = 0.05


class TimeLimitError(BaseException):
    """A step took too long; no `except Exception` of a student's catches it."""


class Answers:
    """What a student wrote, on top of a chapter's setup cells."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup

    def work(self, pipe: Connection) -> None:
        """Take every step, whatever the ones before it did."""
        steps = msgpack.unpackb(pipe.recv_bytes(MAX_JOB))
        signal.signal(signal.SIGPROF, _time_is_up)
        used: defaultdict[str, float] = defaultdict(float)
        for step, (kind, identity, source, limit, owner) in enumerate(steps):
            seconds = max(LEAST_SECONDS, min(limit, 2 * limit - used[owner]))
            start = time.process_time()
            if kind == "new":
                self.setup.restore()
                used.clear()
                continue
            pipe.send_bytes(msgpack.packb(["began", step]))
            state.reset()
            state.seed(identity)
            ask = _asker(identity, step, pipe)
            error = _within(seconds, self._cell, source) if kind == "run" else _within(seconds, self._questions, identity, source, ask)
            name, text = (type(error).__name__, _text(error, seconds)) if error else ("", "")
            took = time.process_time() - start
            used[owner] += took
            pipe.send_bytes(msgpack.packb(["ran", step, name, text, took]))
        pipe.send_bytes(msgpack.packb(["done"]))

    def _cell(self, source: str) -> BaseException | None:
        result = self.setup.shell.run_cell(source, store_history=True)
        error: BaseException | None = result.error_before_exec or result.error_in_exec
        return error

    def _questions(self, identity: str, source: str, ask: Callable[..., Any]) -> BaseException | None:
        names = self.setup.module.__dict__
        names[ASK] = ask
        try:
            exec(compile(source, f"<{identity}>", "exec"), names)
        except BaseException as error:
            return error
        return None


def _asker(identity: str, step: int, pipe: Connection) -> Callable[..., Any]:
    """Return what stands for `__ask__` in the questions of a check."""
    asked: Counter[int] = Counter()

    def send(site: int, kind: str, data: bytes) -> None:
        pipe.send_bytes(msgpack.packb(["answered", step, site, kind, data]))

    def ask(site: int, question: Callable[[], Any], *, quiet: bool = False) -> Any:
        asked[site] += 1
        try:
            value = question()
        except TimeLimitError:
            raise
        except BaseException as error:
            send(site, "error", plain.encode_error(error))
            if quiet:
                return None
            raise
        finally:
            state.seed(state.after(identity, site, asked[site]))  # whatever the answer drew, the next inputs are the judge's
        try:
            send(site, "value", plain.encode(value))
        except plain.EncodingError as error:
            send(site, "error", plain.encode_error(error))
        return value

    return ask


def _within(seconds: float, act: Callable[..., BaseException | None], *arguments: Any) -> BaseException | None:
    """Return what `act` returns, or a TimeLimitError where it takes too long and lets itself be interrupted."""
    try:
        signal.setitimer(signal.ITIMER_PROF, seconds, 1.0)  # again and again, should it be caught
        try:
            return act(*arguments)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    except BaseException as error:
        return error


def _time_is_up(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  (a signal handler)
    raise TimeLimitError


def _text(error: BaseException, seconds: float) -> str:
    if isinstance(error, TimeLimitError):
        return f"it did not end within {seconds:g} s of processor time"
    return plain.text_of(error)
