"""The papers of a class, read: of every answer whether it is right, which known mistake it makes, or which unknown one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from grader.course import Chapter, Course
from grader.ledger import Mark, Paper, papers
from grader.lesson import Exercise, Lesson, read
from grader.review.mistakes import Behaviours, Known, known, match


class Standing(StrEnum):
    """What became of an answer."""

    RIGHT = "right"
    MISTAKE = "known mistake"
    OTHER = "other mistake"
    UNTOUCHED = "untouched"
    NOTHING = "nothing could be run"


@dataclass(frozen=True)
class Answer:
    """One student's answer to one exercise."""

    student: str
    exercise: Exercise
    source: str
    marks: tuple[Mark, ...]
    standing: Standing
    behaviours: Behaviours  # check that failed → what the answer did there; empty where the engine did not grade it
    mistake: Known | None
    seconds: float | None  # of the processor, for the answer and its checks
    error: str = ""  # what the answer's own cell raised

    @property
    def points(self) -> float:
        """Points got."""
        return sum(mark.points or 0.0 for mark in self.marks)


@dataclass(frozen=True)
class ReadClass:
    """A chapter with all its papers and what they say."""

    chapter: Chapter
    lesson: Lesson
    papers: tuple[Paper, ...]
    answers: tuple[Answer, ...]

    def of(self, exercise: Exercise) -> list[Answer]:
        """Return the answers to an exercise, by student."""
        return [answer for answer in self.answers if answer.exercise is exercise]

    def by(self, student: str) -> list[Answer]:
        """Return a student's answers, in the order of the exercises."""
        return [answer for answer in self.answers if answer.student == student]


def read_classes(course: Course, chapters: Sequence[Chapter]) -> Iterator[ReadClass]:
    """Read chapter after chapter, one for each core at a time: most of it is running the lessons' wrong answers the first time."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        yield from pool.map(partial(read_class, course), chapters)


def read_class(course: Course, chapter: Chapter) -> ReadClass:
    """Read everything that was graded of a chapter; the lesson's wrong answers are run where nobody did that before."""
    lesson = read(chapter.source)
    graded = tuple(papers(course, chapter))
    mistakes = known(chapter) if any(paper.state and paper.state.behaviours for paper in graded) else []
    return ReadClass(chapter, lesson, graded, tuple(_answers(lesson, graded, mistakes)))


def _answers(lesson: Lesson, graded: Sequence[Paper], mistakes: Sequence[Known]) -> Iterator[Answer]:
    for paper in graded:
        for exercise in lesson.exercises:
            yield _answer(paper, exercise, mistakes)


def _answer(paper: Paper, exercise: Exercise, mistakes: Sequence[Known]) -> Answer:
    checks = {test.id for test in exercise.tests}
    marks = tuple(mark for mark in paper.sheet.marks if mark.cell in checks)
    source = paper.answers.get(exercise.id, "")
    behaviours = {check: parts for check, parts in (paper.state.behaviours if paper.state else {}).items() if check in checks}
    error = paper.sheet.errors.get(exercise.id, "")
    mistake = None
    if not paper.answers:
        standing = Standing.NOTHING
    elif not any(mark.message for mark in marks):
        standing = Standing.RIGHT
    elif source == exercise.answer.blank:
        standing = Standing.UNTOUCHED
    else:
        mistake = match(mistakes, exercise.id, behaviours) if behaviours else None
        standing = Standing.MISTAKE if mistake else Standing.OTHER
    times = [seconds for name, seconds in (paper.state.times if paper.state else {}).items() if name in checks or name == exercise.id]
    return Answer(paper.sheet.student, exercise, source, marks, standing, behaviours, mistake, sum(times) if times else None, error)
