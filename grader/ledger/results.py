"""What grading gives: marks, sheets of marks, problems."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from grader.engine.behaviour import Behaviour

STATE_KEY = "grading"  # notebook metadata of a graded copy


@dataclass(frozen=True)
class Mark:
    """The points of one check; None where a person has not given them yet."""

    cell: str
    exercise: str
    points: float | None
    possible: float
    message: str = ""  # why it failed


@dataclass(frozen=True)
class Sheet:
    """What one student earned in one chapter."""

    chapter: str
    student: str
    marks: tuple[Mark, ...]
    penalty: float = 0.0  # for lateness
    errors: dict[str, str] = field(default_factory=dict)  # answer cell that raised → what

    @property
    def exercises(self) -> tuple[str, ...]:
        """The exercises in order."""
        return tuple(dict.fromkeys(mark.exercise for mark in self.marks))

    @property
    def total(self) -> float:
        """All points less the penalty."""
        return sum(mark.points or 0.0 for mark in self.marks) - self.penalty

    @property
    def possible(self) -> float:
        """The points that could be had."""
        return sum(mark.possible for mark in self.marks)

    def of(self, exercise: str) -> tuple[float | None, float]:
        """Return the points of an exercise, got and possible; got is None where a person has to give some and has not."""
        own = [mark for mark in self.marks if mark.exercise == exercise]
        got = None if any(mark.points is None for mark in own) else sum(mark.points or 0.0 for mark in own)
        return got, sum(mark.possible for mark in own)


@dataclass(frozen=True)
class State:
    """What a graded copy says of its own grading, so that nothing is graded twice and nothing is taken for up to date that is not."""

    submission: str  # digest of what was handed in
    checks: dict[str, str]  # check → fingerprint of what its mark depends on
    outcome: str
    why: str
    sandboxed: bool
    notes: list[list[str]]  # [what was found, remedy]
    failures: dict[str, list[str]]  # cell → [name, text]
    behaviours: dict[str, Behaviour] = field(default_factory=dict)  # check that failed → what the answer did there
    times: dict[str, float] = field(default_factory=dict)  # check or cell → processor seconds


@dataclass(frozen=True)
class Paper:
    """A graded submission, for those who read it: its marks, what the student wrote, and what a person wrote about it."""

    sheet: Sheet
    answers: dict[str, str] = field(default_factory=dict)  # answer cell → what stands in it; none where nothing could be run
    comments: dict[str, str] = field(default_factory=dict)  # cell → a person's comment
    state: State | None = None  # None where nothing could be run, or stock nbgrader graded


@dataclass(frozen=True)
class Problem:
    """Something about a submission that a person should know; `ungraded` where it is no fault of the submission and needs another run."""

    student: str
    chapter: str
    path: Path
    found: str
    remedy: str
    ungraded: bool = False
