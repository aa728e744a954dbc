"""Runs the judgement of checks on what came back for their questions; never runs a line that a student wrote.

A job is a list of checks `[id, judgement, answers, ended, seconds]`, where `answers` are `[site, kind, data]` as the answer
process sent them and `ended` says why it asked no more. What comes back for each, in order, is `["judged", name, text, behaviour]`;
without a name, the check has passed, and there is nothing to say of what the answer did.
"""

from __future__ import annotations

import signal
from collections import Counter, defaultdict, deque
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

import msgpack

from grader.engine import plain, state
from grader.engine.behaviour import behaviour
from grader.engine.setup import Setup
from grader.engine.split import ANSWER

MAX_JOB = 2**30
TEXT = 4000  # characters of a message


class NoAnswerError(Exception):
    """The answer process gave nothing for a question."""


class NotPlainError(Exception):
    """A check went through, but on something that the judge could not look at."""


class Judge:
    """The checks of a chapter, on top of its setup cells."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup

    def work(self, pipe: Connection) -> None:
        """Judge every check, each on the names that the setup cells left."""
        signal.signal(signal.SIGALRM, _time_is_up)
        for identity, judgement, answers, ended, seconds in msgpack.unpackb(pipe.recv_bytes(MAX_JOB)):
            name, text = self._judge(identity, judgement, answers, ended, seconds)
            pipe.send_bytes(msgpack.packb(["judged", name, text, behaviour(answers, ended) if name else []]))
        pipe.send_bytes(msgpack.packb(["done"]))

    def _judge(self, identity: str, judgement: str, answers: list[Any], ended: str, seconds: float) -> tuple[str, str]:
        namespace = self.setup.restore()
        record = _Record(identity, answers, ended)
        namespace[ANSWER] = record.answer
        state.reset()
        state.seed(identity)
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
            try:
                exec(compile(judgement, f"<{identity}>", "exec"), namespace)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            record.require_plain()
        except BaseException as error:  # an assert that fails, or whatever the answer made of the check
            return type(error).__name__, plain.text_of(error, TEXT)
        return "", ""


class _Record:
    """What came back for the questions of one check."""

    def __init__(self, identity: str, answers: list[Any], ended: str) -> None:
        self.identity, self.ended = identity, ended
        self.asked: Counter[int] = Counter()
        self.opaque: list[str] = []
        self.waiting: defaultdict[int, deque[tuple[str, bytes]]] = defaultdict(deque)
        for site, kind, data in answers:
            self.waiting[site].append((kind, data))

    def answer(self, site: int, *arguments: Any) -> Any:  # noqa: ARG002  (evaluated for what they do to the judge's own inputs)
        """Return the next answer to the question at `site`, or raise what it raised."""
        self.asked[site] += 1
        if not self.waiting[site]:
            raise NoAnswerError(self.ended or "the question was not reached")
        kind, data = self.waiting[site].popleft()
        state.seed(state.after(self.identity, site, self.asked[site]))
        if kind == "error":
            raise plain.decode_error(data)
        value, opaque = plain.decode(data)
        self.opaque += opaque
        return value

    def require_plain(self) -> None:
        """Raise NotPlainError where something was handed out of which only the type's name is known: a pass must be shown."""
        if self.opaque:
            raise NotPlainError(f"the answer is, or holds, a {self.opaque[0]}; a check can look at numbers, texts, lists and tensors")


def _time_is_up(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  (a signal handler)
    raise TimeoutError("the check itself did not end in time on this answer")
