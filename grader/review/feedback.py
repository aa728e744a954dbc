"""Feedback: a page for every student and chapter, with what went wrong and, where the mistake is known, what it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.course import Chapter, Course
from grader.files import write_if_changed
from grader.ledger import Mark, Paper
from grader.ledger.gradebook import template_of
from grader.ledger.submissions import submitted
from grader.lesson import Exercise, Mistake, Role
from grader.review.pages import page
from grader.review.papers import Answer, ReadClass, Standing, read_classes
from grader.template import Note, read_submission

PLAIN = "AssertionError: "  # what every message of a check begins with
TO_HAND_IN = "Hand in the notebook again as JupyterLab saves it"


@dataclass(frozen=True)
class _Check:
    title: str
    hidden: bool
    points: float | None
    possible: float
    message: str


@dataclass(frozen=True)
class _Part:
    """What a page says of one answer."""

    id: str
    title: str
    points: float | None  # None where a person has to give them
    possible: float
    written: str
    is_code: bool
    error: str = ""
    mistake: Mistake | None = None
    checks: Sequence[_Check] = ()
    comments: Sequence[str] = ()
    explanation: str = ""


def feedback(course: Course, chapters: Sequence[Chapter], *, explanations: bool = False) -> Iterator[Path]:
    """Write a page for every graded student of `chapters`, with the worked explanations where these are asked for; yield its path."""
    for read in read_classes(course, chapters):
        chapter = read.chapter
        for paper in read.papers:
            path = course.gradebook / "feedback" / paper.sheet.student / chapter.name / f"{chapter.name}.html"
            write_if_changed(path, _page(course, read, paper, explanations=explanations).encode())
            yield path


def _page(course: Course, read: ReadClass, paper: Paper, *, explanations: bool) -> str:
    parts = [*_exercises(read, paper, explanations=explanations), *_questions(read, paper)]
    return page(
        "feedback",
        title=f"{read.lesson.number} {read.lesson.title}",
        sheet=paper.sheet,
        waiting=any(part.points is None for part in parts),
        found="" if paper.answers else _found(course, read.chapter, paper.sheet.student),
        remedy=TO_HAND_IN,
        notes=[found for found, _ in paper.state.notes] if paper.state else [],
        parts=parts,
    )


def _found(course: Course, chapter: Chapter, student: str) -> str:
    """Say why nothing of a submission could be run."""
    submission = read_submission(submitted(course, chapter, student), template_of(chapter))
    return submission.found if isinstance(submission, Note) else "it did not come to an end"


def _exercises(read: ReadClass, paper: Paper, *, explanations: bool) -> Iterator[_Part]:
    for number, answer in enumerate(read.by(paper.sheet.student), start=1):
        exercise = answer.exercise
        yield _Part(
            id=exercise.id,
            title=f"Exercise {number}: {exercise.title}",
            points=None if any(mark.points is None for mark in answer.marks) else answer.points,
            possible=sum(mark.possible for mark in answer.marks),
            written="" if answer.standing is Standing.UNTOUCHED else answer.source,
            is_code=True,
            error=paper.sheet.errors.get(exercise.id, "") if answer.standing is not Standing.UNTOUCHED else "",
            mistake=answer.mistake.mistake if answer.mistake else None,
            checks=_checks(exercise, answer),
            comments=[paper.comments[cell] for cell in (exercise.id, *(test.id for test in exercise.tests)) if cell in paper.comments],
            explanation=exercise.explanation.source if explanations and exercise.explanation else "",
        )


def _checks(exercise: Exercise, answer: Answer) -> list[_Check]:
    marks: dict[str, Mark] = {mark.cell: mark for mark in answer.marks}
    return [
        _Check(_title(test.id, exercise.id), test.role is Role.HIDDEN, mark.points, mark.possible, mark.message.removeprefix(PLAIN))
        for test in exercise.tests
        if (mark := marks.get(test.id))
    ]


def _title(check: str, exercise: str) -> str:
    """Return the id of a check in words: what stands in it after that of its exercise."""
    return check.removeprefix(f"{exercise}-").replace("-", " ")


def _questions(read: ReadClass, paper: Paper) -> Iterator[_Part]:
    """Yield the questions that a person marks."""
    marks = {mark.cell: mark for mark in paper.sheet.marks}
    for cell in read.lesson.with_role(Role.ANSWER):
        if mark := marks.get(cell.id):
            written = paper.answers.get(cell.id, "")
            comments = [paper.comments[cell.id]] if cell.id in paper.comments else []
            yield _Part(cell.id, _title(cell.id, ""), mark.points, mark.possible, written, is_code=False, comments=comments)
