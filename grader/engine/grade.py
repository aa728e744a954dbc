"""Grades one submission: asks its answers in the sandbox, has what came back judged, and confirms what failed."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from grader.engine.behaviour import Behaviour
from grader.engine.confine import Limits
from grader.engine.plan import Plan, Step, Task, steps
from grader.engine.process import Reply, WarmProcess

PATIENCE = 3.0  # wall seconds for one of processor time, before a step is ended from outside
CRASHES = 4  # steps of one exercise that may end its process before the rest is given up
JUDGE_SECONDS = 10.0  # wall seconds for judging one check
TIME_LIMIT = "TimeLimitError"
NAME, TEXT = 60, 4000  # characters of the name of an exception, and of its text
ENDED = {"timeout": "NotInTimeError", "memory": "MemoryLimitError", "crashed": "ProcessEndedError", "tampered": "TamperedError"}


@dataclass(frozen=True)
class Failure:
    """Why a cell failed: the name of an exception, and its text."""

    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.name}: {self.text}".removesuffix(": ")


@dataclass
class Result:
    """What became of a submission.

    `outcome` is `graded`, or what ended its process: `timeout`, `memory`, `crashed`, `tampered`; what was reached before counts.
    """

    outcome: str = "graded"
    why: str = ""
    passed: set[str] = field(default_factory=set)  # checks
    failures: dict[str, Failure] = field(default_factory=dict)  # check, answer or added cell → why it failed
    behaviours: dict[str, Behaviour] = field(default_factory=dict)  # check that failed → what the answer did there
    times: dict[str, float] = field(default_factory=dict)  # check, answer or added cell → processor seconds
    seconds: float = 0.0
    sandboxed: bool = True


class ChapterGrader:
    """A warm process of a chapter, and what it is asked. Use it as a context manager; `grade` may be called any number of times.

    Raises GraderError where a setup cell fails, SandboxError where there is no sandbox.
    """

    def __init__(self, plan: Plan, data: Path, limits: Limits | None = None, *, sandboxed: bool = True) -> None:
        self.plan, self.sandboxed, self.limits = plan, sandboxed, limits or Limits()
        self._warm = WarmProcess(plan, data, self.limits, sandboxed=sandboxed)
        try:
            self._warm.require_ready()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self._warm.close()

    def grade(self, task: Task) -> Result:
        """Grade a submission.

        A pass is quick: the setup cells are done before. A failure is confirmed by a run of the whole notebook from its first
        cell in a new process, unless the answer is blank or took too long by the processor's clock.
        """
        start, until = time.perf_counter(), time.monotonic() + self.limits.seconds
        result = self._take(list(steps(self.plan, task, whole=False)), until)
        blank = {name for _, name, source in task.cells if source == self.plan.stubs.get(name)}
        doubtful = tuple(name for name in task.checks if self._is_doubtful(result, name, blank))
        if doubtful:
            again = self._take(list(steps(self.plan, replace(task, checks=doubtful), whole=True)), until)
            for name in again.passed:
                result.passed.add(name)
                result.failures.pop(name, None)
                result.behaviours.pop(name, None)
        result.seconds = time.perf_counter() - start
        return result

    def ask(self, papers: Sequence[list[Step]]) -> list[Result]:
        """Take several lists of steps in one process, one after the other, and return a result for each; nothing is confirmed.

        Only for code that is trusted: what it does to the process, the next paper finds. A paper that ends the process is taken
        again alone, and so are the others.
        """
        papers = [[["new", "", "", 0, ""], *paper] for paper in papers]
        answers = _Answers([step for paper in papers for step in paper])
        self._ask(answers)
        if answers.ended and len(papers) > 1:
            return [result for paper in papers for result in self.ask([paper[1:]])]
        self._judge_all(answers)
        results, first = [], 0
        for paper in papers:
            results.append(answers.result(range(first, first + len(paper)), sandboxed=self.sandboxed))
            first += len(paper)
        return results

    def _is_doubtful(self, result: Result, check: str, blank: set[str]) -> bool:
        failure = result.failures.get(check)
        return failure is not None and failure.name != TIME_LIMIT and self.plan.checks[check].exercise not in blank

    def _take(self, todo: list[Step], until: float) -> Result:
        """Ask everything in one process; where something ends it, what is left of each exercise in a process of that exercise's own."""
        answers = _Answers(todo)
        if not self._ask(answers, until):
            for owner in answers.unasked():
                for _ in range(CRASHES):
                    if time.monotonic() > until or self._ask(answers, until, owner):
                        break
        self._judge_all(answers)
        return answers.result(range(len(todo)), sandboxed=self.sandboxed)

    def _ask(self, answers: _Answers, until: float = math.inf, owner: str = "") -> bool:
        """Run what has not run, of all exercises or of one; return whether that is done with."""
        places = answers.places(owner)
        now = [answers.todo[place] for place in places]
        reply = self._warm.run("answer", now, PATIENCE * max((step[3] for step in now), default=1.0), until)
        return answers.take(places, reply)

    def _judge_all(self, answers: _Answers) -> None:
        """Judge what came back for every check; where one ends the judge, the rest in a new one."""
        places = [place for place, step in enumerate(answers.todo) if step[0] == "ask" and place not in answers.failures]
        for _ in range(CRASHES):
            if not places:
                return
            reply = self._judge(answers, places)
            verdicts = list(_of_kind(reply, "judged"))
            for place, (name, text, behaviour) in zip(places, verdicts, strict=False):
                if name:
                    answers.failures[place], answers.behaviours[place] = Failure(name, text), behaviour
                else:
                    answers.passed.add(place)
            why = f"the check could not be judged: {reply.why or 'the judge ended'}"
            for place in places[len(verdicts) : len(verdicts) + 1]:
                answers.failures[place] = Failure("NotJudgedError", why)
            places = places[len(verdicts) + 1 :]
        for place in places:
            answers.failures[place] = Failure("NotJudgedError", why)

    def _judge(self, answers: _Answers, places: Sequence[int]) -> Reply:
        job = []
        for place in places:
            check = self.plan.checks[answers.todo[place][1]]
            job.append([check.id, check.judgement, answers.given[place], answers.stopped.get(place, ""), JUDGE_SECONDS])
        return self._warm.run("judge", job, PATIENCE * JUDGE_SECONDS)


class _Answers:
    """What came back for the steps of a submission, by their places in `todo`."""

    def __init__(self, todo: list[Step]) -> None:
        self.todo = todo
        self.given: defaultdict[int, list[Any]] = defaultdict(list)  # ask → [site, kind, data], as they came
        self.stopped: dict[int, str] = {}  # ask that came to its end → what stopped it; nothing where it asked everything
        self.failures: dict[int, Failure] = {}
        self.behaviours: dict[int, Behaviour] = {}
        self.times: dict[int, float] = {}
        self.passed: set[int] = set()
        self.culprits: set[int] = set()  # steps that ended the process
        self.ended, self.why = "", ""

    def places(self, owner: str = "") -> list[int]:
        """Return the steps to take: every cell, and the questions that have no answers yet; not what ended the process before.

        With `owner`, the answers and questions of the other exercises are left out.
        """
        exercises = {step[4] for step in self.todo if step[0] == "ask"}
        others = exercises - {owner} if owner else set()
        left = [place for place, step in enumerate(self.todo) if place not in self.culprits and step[4] not in others]
        return [place for place in left if self.todo[place][0] != "ask" or place not in self.stopped]

    def unasked(self) -> list[str]:
        """Return the exercises with questions that have no answers yet."""
        left = [
            step[4] for place, step in enumerate(self.todo) if step[0] == "ask" and place not in self.stopped and place not in self.culprits
        ]
        return list(dict.fromkeys(left))

    def take(self, places: Sequence[int], reply: Reply) -> bool:
        """Take a reply into account; return whether it came to its end, or nothing can be done about that."""
        for step, site, kind, data in _of_kind(reply, "answered"):
            if 0 <= step < len(places) and self.todo[places[step]][0] == "ask":
                self.given[places[step]].append([site, kind, data])
        for step, name, text, took in _of_kind(reply, "ran"):
            if 0 <= step < len(places):
                most = 2 * self.todo[places[step]][3]  # whoever sends something else harms only itself
                self.times[places[step]] = min(took, most) if took >= 0 else 0.0
                self._ran(places[step], Failure(name[:NAME], text[:TEXT]) if name else None)
        for place in set(places) - self.stopped.keys():
            self.given.pop(place, None)  # answers of questions that did not come to their end are asked for again
        if not reply.ended:
            return True
        self.ended, self.why = reply.ended, reply.why
        begun = [step for (step,) in _of_kind(reply, "began") if 0 <= step < len(places)]
        if not begun:
            return True
        culprit = places[begun[-1]]
        self.culprits.add(culprit)
        self.failures[culprit] = Failure(ENDED[reply.ended], reply.why)
        return False

    def _ran(self, place: int, failure: Failure | None) -> None:
        if self.todo[place][0] == "run":
            if failure:
                self.failures[place] = failure
            return
        self.stopped[place] = str(failure or "")
        if failure and failure.name == TIME_LIMIT:
            self.failures[place] = failure

    def result(self, places: Iterable[int], *, sandboxed: bool) -> Result:
        """Return the result of the steps at `places`; where a step stands there more than once, the last counts."""
        made = Result(self.ended or "graded", self.why, sandboxed=sandboxed)
        for place in places:
            identity = self.todo[place][1]
            if place in self.times:
                made.times[identity] = self.times[place]
            if place in self.passed:
                made.passed.add(identity)
            elif place in self.failures:
                made.failures[identity] = self.failures[place]
                if self.todo[place][0] == "ask":
                    made.behaviours[identity] = self.behaviours.get(place, [f"stopped {self.failures[place].name}"])
        return made


def _of_kind(reply: Reply, kind: str) -> Iterator[list[Any]]:
    """Yield the parts of the messages of a kind."""
    return (message[1:] for message in reply.messages if message[0] == kind)
