"""Takes a class through grading: by the engine, or by stock nbgrader; either way every submission ends with its marks in the gradebook."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from nbformat import NotebookNode

from grader.course import Chapter, Course
from grader.engine import sandbox
from grader.engine.fleet import LOST, Fleet
from grader.engine.grade import TIME_LIMIT, Failure, Result
from grader.engine.plan import Plan, Seconds, Task, plan_of, task_of
from grader.errors import LedgerError
from grader.ledger import stock
from grader.ledger.converters import course_config
from grader.ledger.gradebook import alone, prepare, template_of
from grader.ledger.record import Recorder
from grader.ledger.results import Problem, State
from grader.ledger.submissions import HandedIn, attempts, read, require, students
from grader.template import Note, grade_id, is_a, rebuild

LAST, BEST = "last", "best"  # attempts
MALFORMED, UP_TO_DATE, UNGRADED = "malformed", "up to date", "ungraded"  # outcomes besides those of the engine


@dataclass(frozen=True)
class Options:
    """How to grade."""

    workers: int | None = None  # of this machine; one for each core where it is None
    scheduler: str | None = None  # address of a Dask scheduler with workers elsewhere
    sandboxed: bool = True
    force: bool = False  # also what is up to date
    changed: bool = False  # of a submission that was graded before, only the checks that changed since
    seconds: Seconds = field(default_factory=Seconds)
    stock: bool = False  # by stock nbgrader


@dataclass(frozen=True)
class Graded:
    """One submission, done."""

    chapter: Chapter
    student: str
    outcome: str
    problems: list[Problem] = field(default_factory=list)


@dataclass
class Progress:
    """How far a run has come."""

    total: int
    done: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    started: float = field(default_factory=time.monotonic)

    @property
    def rate(self) -> float:
        """Submissions graded a second; those that were up to date do not count."""
        return (self.done - self.outcomes[UP_TO_DATE]) / max(time.monotonic() - self.started, 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """An estimate; None before the first is graded."""
        return (self.total - self.done) / self.rate if self.rate else None

    def count(self, graded: Graded) -> None:
        """Take a submission into account."""
        self.done += 1
        self.outcomes[graded.outcome] += 1


def count(course: Course, chapters: list[Chapter]) -> Progress:
    """Return the progress of a run that has not begun."""
    return Progress(sum(len(students(course, chapter)) for chapter in chapters))


def grade(course: Course, chapters: list[Chapter], options: Options | None = None) -> Iterator[Graded]:
    """Grade the submissions of `chapters` and yield each when its marks are in the gradebook.

    The gradebook is brought up to date with `solutions/` before the first. Whenever it is stopped, the next run goes on.
    Raises LedgerError where the gradebook cannot be used or there is nothing to grade, SandboxError where there is no sandbox;
    nothing that a submission holds raises.
    """
    options = options or Options()
    require(course, chapters)
    try:
        with alone(course):
            prepare(course, chapters)
            if options.stock:
                yield from _by_stock_nbgrader(course, chapters, options)
                return
            with Fleet(course.data, options.workers, options.scheduler, sandboxed=options.sandboxed) as fleet:
                yield from _by_the_engine(course, chapters, options, fleet)
    except OSError as error:  # a full disk, a folder that may not be written
        remedy = "mend this and run it again; what is graded stays, and it goes on there"
        raise LedgerError(f"{course.gradebook}: cannot be written: {error}\n    remedy: {remedy}") from error


def _by_the_engine(course: Course, chapters: list[Chapter], options: Options, fleet: Fleet) -> Iterator[Graded]:
    """Grade all chapters in one stream: while one worker is at the end of a chapter, another begins the next."""
    with ExitStack() as stack:
        runs: dict[str, _Run] = {}

        def tasks() -> Iterator[tuple[Plan, Task] | Graded]:
            for chapter in chapters:
                run = runs[chapter.name] = _Run(course, chapter, options)
                stack.enter_context(run.recorder)
                yield from run.tasks()

        for result in fleet.grade(tasks()):
            if isinstance(result, Graded):
                yield result
            else:
                plan, task, found = result
                if graded := runs[plan.chapter].record(task, found):
                    yield graded


def _by_stock_nbgrader(course: Course, chapters: list[Chapter], options: Options) -> Iterator[Graded]:
    if options.sandboxed:
        sandbox.require()
    for chapter in chapters:
        template = template_of(chapter)
        for student in students(course, chapter):
            handed_in = read(course, chapter, student, template)
            if isinstance(handed_in, Problem):
                yield Graded(chapter, student, UNGRADED, [handed_in])
            else:
                found = stock.grade_one(course, handed_in, template, options.seconds, sandboxed=options.sandboxed)
                outcome = MALFORMED if isinstance(handed_in.cells, Note) else UNGRADED if any(one.ungraded for one in found) else "graded"
                yield Graded(chapter, student, outcome, found)


@dataclass
class _Waiting:
    """A submission that the fleet has; `of` says how many attempts its student has, the best of which counts."""

    handed_in: HandedIn
    notebook: NotebookNode
    notes: tuple[Note, ...]
    digest: str  # of what was handed in
    before: State | None  # what is kept of the marks
    of: int = 1
    points: float = 0.0  # less what lateness costs
    result: Result | None = None


class _Run:
    """One chapter's submissions on their way through the fleet."""

    def __init__(self, course: Course, chapter: Chapter, options: Options) -> None:
        self.course, self.chapter, self.options = course, chapter, options
        self.template = template_of(chapter)
        self.plan = plan_of(chapter, self.template, options.seconds)
        self.fingerprints = {name: self.plan.fingerprint_of(check) for name, check in self.plan.checks.items()}
        self.worth = {grade_id(cell): float(cell.metadata.nbgrader["points"]) for cell in self.template.cells if is_a(cell, "grade")}
        self.best = attempts_that_count(course) == BEST
        self.recorder = Recorder(course, chapter, self.template)
        self.waiting: dict[str, _Waiting] = {}
        self.tried: defaultdict[str, list[_Waiting]] = defaultdict(list)  # student → attempts that have been graded

    def tasks(self) -> Iterator[tuple[Plan, Task] | Graded]:
        """Yield what there is to grade, and what is done without."""
        for student in students(self.course, self.chapter):
            handed_in = read(self.course, self.chapter, student, self.template)
            if isinstance(handed_in, Problem):
                yield Graded(self.chapter, student, UNGRADED, [handed_in])
            elif several := self._attempts(student):
                yield from self._several(student, several)
            elif isinstance(handed_in.cells, Note):
                self.recorder.nothing(student)
                yield Graded(self.chapter, student, MALFORMED, [handed_in.problem(handed_in.cells)])
            else:
                yield self._task(handed_in, handed_in.cells)

    def _attempts(self, student: str) -> list[HandedIn]:
        """Return the attempts of which the best counts; none where the last one does, or there is but one that can be graded."""
        if not self.best:
            return []
        paths = attempts(self.course, self.chapter, student)
        found = [read(self.course, self.chapter, student, self.template, path) for path in paths]
        usable = [attempt for attempt in found if isinstance(attempt, HandedIn) and not isinstance(attempt.cells, Note)]
        return usable if len(usable) > 1 else []

    def _several(self, student: str, several: Sequence[HandedIn]) -> Iterator[tuple[Plan, Task] | Graded]:
        digest = _digest([[attempt.cells, attempt.time] for attempt in several])
        before = self.recorder.state(student)
        if before and not self.options.force and before.checks == self.fingerprints and self._same(before, digest):
            self.recorder.penalty_again(student)
            yield Graded(self.chapter, student, UP_TO_DATE, _problems(several[-1], before))
            return
        for number, attempt in enumerate(several):
            assert not isinstance(attempt.cells, Note)
            rebuilt = rebuild(self.template, attempt.cells)
            key = f"{student}/{number}"
            notes = (*rebuilt.notes, *attempt.notes)
            self.waiting[key] = _Waiting(attempt, rebuilt.notebook, notes, digest, None, of=len(several))
            yield self.plan, task_of(self.plan, key, rebuilt.notebook)

    def _same(self, before: State, digest: str) -> bool:
        return before.submission == digest and before.sandboxed >= self.options.sandboxed

    def _task(self, handed_in: HandedIn, cells: NotebookNode) -> tuple[Plan, Task] | Graded:
        """Return what is to be graded of a submission; where all of it is up to date, what was."""
        student = handed_in.student
        digest = _digest([cells, handed_in.time])
        before = self.recorder.state(student)
        same = before is not None and self._same(before, digest)
        stale = [name for name, mark in self.fingerprints.items() if before is None or before.checks.get(name) != mark]
        if before and same and not stale and not self.options.force and before.checks.keys() == self.fingerprints.keys():
            self.recorder.penalty_again(student)
            return Graded(self.chapter, student, UP_TO_DATE, _problems(handed_in, before))
        partly = self.options.changed and same and not self.options.force
        rebuilt = rebuild(self.template, cells)
        notes = (*rebuilt.notes, *handed_in.notes)
        self.waiting[student] = _Waiting(handed_in, rebuilt.notebook, notes, digest, before if partly else None)
        return self.plan, task_of(self.plan, student, rebuilt.notebook, stale if partly else None)

    def record(self, task: Task, result: Result) -> Graded | None:
        """Write what became of a submission; None where it is an attempt, and others of the same student are still to come."""
        entry = self.waiting.pop(task.key)
        student = entry.handed_in.student
        if result.outcome == LOST:
            lost = Note(f"it could not be graded: {result.why}", "see to the workers, then grade again; its marks are as they were")
            return Graded(self.chapter, student, UNGRADED, [entry.handed_in.problem(lost, ungraded=True)])
        if entry.of > 1:
            points = sum(self.worth[check] for check in result.passed)
            entry.points, entry.result = self.recorder.less_penalty(student, points, entry.handed_in.time), result
            self.tried[student].append(entry)
            if len(self.tried[student]) < entry.of:
                return None
            entry = max(reversed(self.tried.pop(student)), key=lambda attempt: attempt.points)  # of two alike, the later
            assert entry.result
            result = entry.result
        if entry.before:
            kept = entry.before.failures.keys() & self.plan.checks.keys() - set(task.checks)
            result.failures |= {name: Failure(*entry.before.failures[name]) for name in kept}
            result.behaviours |= {name: entry.before.behaviours[name] for name in kept & entry.before.behaviours.keys()}
            result.times = entry.before.times | result.times
            result.passed |= self.plan.checks.keys() - set(task.checks) - kept
        state = State(
            submission=entry.digest,
            checks=self.fingerprints,
            outcome=result.outcome,
            why=result.why,
            sandboxed=result.sandboxed,
            notes=[[note.found, note.remedy] for note in entry.notes],
            failures={name: [failure.name, failure.text] for name, failure in result.failures.items()},
            behaviours=result.behaviours,
            times={name: round(seconds, 3) for name, seconds in result.times.items()},
        )
        self.recorder.marks(student, entry.notebook, state, result.passed, entry.handed_in.time)
        return Graded(self.chapter, student, result.outcome, _problems(entry.handed_in, state))


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def attempts_that_count(course: Course) -> str:
    """Return which of several attempts counts, as `nbgrader_config.py` says. Raises LedgerError where it says something else."""
    found = str(course_config(course).get("Attempts", {}).get("counts", LAST))
    if found not in (LAST, BEST):
        raise LedgerError(f"{course.config}: c.Attempts.counts is '{found}'\n    remedy: write '{LAST}' or '{BEST}'")
    return found


REMEDIES = {
    "timeout": "look for an endless loop; what was reached before counts",
    "memory": "look for a tensor that is far too large; what was reached before counts",
    "crashed": "what was reached before counts; look for exit(), or a crash of compiled code",
    "tampered": "look at what its code does to the system; what was reached before counts",
}


def _problems(handed_in: HandedIn, state: State) -> list[Problem]:
    notes = [Note(*note) for note in state.notes]
    if state.outcome in REMEDIES:
        notes.append(Note(state.why, REMEDIES[state.outcome]))
    slow = [name for name, (error, _) in state.failures.items() if error == TIME_LIMIT]
    if slow:
        notes.append(Note(f"stopped at the time limit: {', '.join(slow)}", "look for an endless loop; the other cells were graded"))
    if not state.sandboxed:
        notes.append(Note("it was graded without a sandbox", "look at its code before you trust its marks, or anything on this machine"))
    return [handed_in.problem(note) for note in notes]
