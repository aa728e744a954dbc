"""A class made from the lessons' own answers, with the marks that it must get: the proof that grading works end to end."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from grader.course import CONFIG_NAME, Chapter, Course
from grader.errors import LedgerError
from grader.ledger import Sheet
from grader.lesson import STUB, Cell, Exercise, Lesson, Role, read
from grader.notebook import dumps, load
from grader.template import grade_id

Expected = dict[str, bool | None]  # check → must be earned, must not be, or either
NOISE = """import sys

get_ipython().events.register("post_run_cell", lambda *_: print("UserWarning: old arrow", file=sys.stderr))"""


@dataclass(frozen=True)
class Submission:
    """A student named by what they do, what they hand in (nothing where it is None), and what must come of it."""

    student: str
    content: str | None
    expected: Expected


def make_class(course: Course, chapters: Sequence[Chapter], folder: Path) -> tuple[Course, dict[str, list[Submission]]]:
    """Write to `folder` a course of its own with a class of 12 for each chapter; return it and, by chapter, what was handed in.

    The chapters must be built. Raises LedgerError where the folder already holds a gradebook.
    """
    copy = course_in(course, folder)
    handed_in = {}
    for chapter in chapters:
        shutil.copytree(chapter.source.parent, copy.root / "solutions" / chapter.name, dirs_exist_ok=True)
        handed_in[chapter.name] = submissions(read(chapter.source), _student_notebook(chapter))
        for submission in handed_in[chapter.name]:
            _hand_in(submission, copy.gradebook / "submitted" / submission.student / chapter.name, chapter.name)
    return copy, handed_in


def course_in(course: Course, folder: Path, settings: str = "") -> Course:
    """Return a course of its own in `folder`, without chapters yet, with the data and the settings of `course`, and more `settings`.

    Raises LedgerError where the folder already holds a gradebook.
    """
    copy = Course(folder.resolve())
    if copy.gradebook.exists():
        raise LedgerError(f"{copy.gradebook}: exists\n    remedy: choose another folder, or delete it")
    folder.mkdir(parents=True, exist_ok=True)
    (copy.root / CONFIG_NAME).write_text(course.config.read_text(encoding="utf-8") + settings, encoding="utf-8")
    if not (copy.root / "data").exists() and course.data.is_dir():
        (copy.root / "data").symlink_to(course.data, target_is_directory=True)
    return copy


def submissions(lesson: Lesson, released: NotebookNode) -> list[Submission]:
    """Return the class of one chapter: answers of `lesson` put into the `released` notebook."""
    first = lesson.exercises[0]
    references = {exercise.id: exercise.answer.source for exercise in lesson.exercises}
    everything: Expected = {test.id: True for exercise in lesson.exercises for test in exercise.tests}
    nothing: Expected = dict.fromkeys(everything, False)
    without_first: Expected = everything | dict.fromkeys((test.id for test in first.tests), False)
    spoiled, wrong = _seen_by_a_visible_check(lesson)
    caught = everything | _caught(spoiled, wrong.fails)
    check = first.tests[0].id

    def notebook(answers: dict[str, str], change: Callable[[NotebookNode], None] | None = None) -> str:
        return dumps(filled(released, answers, change))

    return [
        Submission("perfect", notebook(references), everything),
        Submission("other-way", notebook({exercise.id: exercise.rights[0].source for exercise in lesson.exercises}), everything),
        Submission("blank", notebook({}), nothing),
        Submission("mistakes", notebook({exercise.id: exercise.wrongs[0].source for exercise in lesson.exercises}), _mistakes(lesson)),
        Submission("syntax-error", notebook(references | {first.id: f"{references[first.id]}\n    )"}), without_first),
        Submission("endless-loop", notebook(references | {first.id: _endless(first)}), without_first),
        Submission("deleted-check", notebook(references, lambda made: _delete(made, check)), everything),
        Submission("duplicated-check", notebook(references, lambda made: _duplicate(made, check)), everything),
        Submission("stderr", notebook(references, lambda made: made.cells.insert(0, new_code_cell(NOISE))), everything),
        Submission("changed-check", notebook(references | {spoiled.id: wrong.source}, lambda made: _empty(made, wrong.fails)), caught),
        Submission("not-json", '{"cells": [', nothing),
        Submission("no-notebook", None, nothing),
    ]


def differences(handed_in: Sequence[Submission], sheets: Sequence[Sheet]) -> Iterator[str]:
    """Yield every mark that is not as expected."""
    found = {sheet.student: sheet for sheet in sheets}
    for submission in handed_in:
        sheet = found.get(submission.student)
        if sheet is None:
            yield f"{submission.student} has no marks"
            continue
        marks = {mark.cell: mark for mark in sheet.marks}
        for check, earned in submission.expected.items():
            mark = marks.get(check)
            if mark is None:
                yield f"{submission.student}: check '{check}' has no mark"
            elif earned is not None and mark.points != (mark.possible if earned else 0):
                must = "must be earned" if earned else "must not be earned"
                yield f"{submission.student}: check '{check}' {must}, but has {mark.points} of {mark.possible:g}: {mark.message}"


def _caught(exercise: Exercise, fails: Sequence[str]) -> Expected:
    """Return what a wrong answer of `exercise` must lose: the checks that it names, and perhaps the others."""
    return {test.id: False if test.id in fails else None for test in exercise.tests}


def _seen_by_a_visible_check(lesson: Lesson) -> tuple[Exercise, Cell]:
    """Return the last wrong answer that a visible check must catch, with its exercise."""
    visible = {check.id for check in lesson.with_role(Role.CHECK)}
    found = [(exercise, wrong) for exercise in lesson.exercises for wrong in exercise.wrongs]
    return next((pair for pair in reversed(found) if visible & set(pair[1].fails)), found[-1])


def _mistakes(lesson: Lesson) -> Expected:
    expected: Expected = {}
    for exercise in lesson.exercises:
        expected |= _caught(exercise, exercise.wrongs[0].fails)
    return expected


def _endless(exercise: Exercise) -> str:
    return exercise.answer.blank.replace(STUB[-1], "while True: pass")


def filled(released: NotebookNode, answers: dict[str, str], change: Callable[[NotebookNode], None] | None = None) -> NotebookNode:
    """Return a copy of a released notebook with answers by grade_id, changed by `change`."""
    made: NotebookNode = NotebookNode({**released, "cells": [NotebookNode(cell) for cell in released.cells]})
    for cell in made.cells:
        cell.source = answers.get(grade_id(cell), cell.source)
    if change:
        change(made)
    return made


def _delete(made: NotebookNode, name: str) -> None:
    made.cells = [cell for cell in made.cells if grade_id(cell) != name]


def _duplicate(made: NotebookNode, name: str) -> None:
    position = next(index for index, cell in enumerate(made.cells) if grade_id(cell) == name)
    made.cells.insert(position + 1, NotebookNode({**made.cells[position], "id": "a-copy"}))


def _empty(made: NotebookNode, checks: Sequence[str]) -> None:
    for cell in made.cells:
        if grade_id(cell) in checks:
            cell.source = 'print("passed")'


def _hand_in(submission: Submission, folder: Path, name: str) -> None:
    folder.mkdir(parents=True)
    if submission.content is None:
        (folder / "notes.txt").write_text("I forgot the notebook.\n", encoding="utf-8")
    else:
        (folder / f"{name}.ipynb").write_text(submission.content, encoding="utf-8")
    (folder / "torch.py").write_text("raise ImportError('a file of the student')\n", encoding="utf-8")


def _student_notebook(chapter: Chapter) -> NotebookNode:
    if not chapter.student.is_file():
        raise LedgerError(f"{chapter.student}: missing\n    remedy: run `make build`")
    return load(chapter.student)
