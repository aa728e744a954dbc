"""Which known mistake a failing answer makes, told by what it does: the same checks fail, and the same values come back.

A match is withheld where two of the known mistakes do the same, and where nothing came back that could tell one mistake from another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from grader.course import Chapter, Course
from grader.engine.behaviour import Behaviour, same
from grader.engine.grade import ChapterGrader, Result
from grader.engine.plan import Plan, plan_of
from grader.lesson import Lesson, read
from grader.notebook import instructor_notebook

BATCH = 12  # answers that one process takes; they are the course's own
SECONDS = 3.0  # of processor time, for a cell


@dataclass(frozen=True)
class Known:
    """A wrong answer of the lesson, and what it does at each check that it fails."""

    id: str
    exercise: str
    behaviours: Mapping[str, Behaviour]


def known(chapter: Chapter) -> list[Known]:
    """Run the wrong answers of a lesson, and return what each does; those that fail nothing in the engine are left out."""
    lesson = read(chapter.source)
    plan = plan_of(chapter, instructor_notebook(lesson))
    wrong = list(_wrong(lesson))
    with ChapterGrader(plan, Course(chapter.root).data) as grader:
        return [
            Known(identity, exercise, result.behaviours)
            for (identity, exercise, _), result in zip(wrong, _run(grader, plan, wrong), strict=True)
            if result.behaviours
        ]


def match(mistakes: Sequence[Known], exercise: str, behaviours: Mapping[str, Behaviour]) -> Known | None:
    """Return the mistake that an answer to `exercise` makes, given what it did at each check that it failed; None when unsure."""
    own = [mistake for mistake in mistakes if mistake.exercise == exercise and _alike(mistake.behaviours, behaviours)]
    return own[0] if len(own) == 1 and _telling(behaviours) else None


def _alike(one: Mapping[str, Behaviour], other: Mapping[str, Behaviour]) -> bool:
    return one.keys() == other.keys() and all(same(one[check], other[check]) for check in one)


def _telling(behaviours: Mapping[str, Behaviour]) -> bool:
    """Say whether anything came back that another mistake would not have given as well: a value, or an error with its text."""
    return any(len(parts) > 1 for parts in behaviours.values())


def _wrong(lesson: Lesson) -> Iterator[tuple[str, str, str]]:
    """Yield id, exercise and source of each wrong answer."""
    for exercise in lesson.exercises:
        for cell in exercise.wrongs:
            yield cell.id, exercise.id, cell.source


def _run(grader: ChapterGrader, plan: Plan, answers: Sequence[tuple[str, str, str]]) -> Iterator[Result]:
    papers = []
    for _, exercise, source in answers:
        checks = [check.step(SECONDS) for check in plan.checks.values() if check.exercise == exercise]
        papers.append([["run", exercise, source, SECONDS, exercise], *checks])
    for first in range(0, len(papers), BATCH):
        yield from grader.ask(papers[first : first + BATCH])
