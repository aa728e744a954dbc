"""Grades in a copy of the gradebook, to say whose marks would change before anything is written."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from grader.course import CONFIG_NAME, Chapter, Course
from grader.errors import LedgerError
from grader.ledger.converters import database
from grader.ledger.gradebook import alone, sheets
from grader.ledger.grading import Options, grade
from grader.ledger.lateness import EXTRA_TIME
from grader.ledger.results import Sheet


@dataclass(frozen=True)
class Change:
    """A student's total in a chapter before and after, and the checks whose points differ, by how much."""

    chapter: str
    student: str
    before: float
    after: float
    checks: dict[str, float]


def rehearse(course: Course, chapters: Sequence[Chapter], options: Options | None = None) -> list[Change]:
    """Return what `grade` would change in marks that were given before; nothing is written outside a temporary folder."""
    names = [chapter.name for chapter in chapters]
    with ExitStack() as stack:
        try:
            copy = _copy(course, Path(stack.enter_context(tempfile.TemporaryDirectory())))
        except OSError as error:
            remedy = "make room there, or name another folder in the environment variable TMPDIR"
            raise LedgerError(f"no room for a copy of the gradebook in the temporary folder: {error}\n    remedy: {remedy}") from error
        for _ in grade(copy, copy.chapters(names), options):
            pass
        return [change for name in names for change in _changes(course, copy, name)]


def changes(before: Sequence[Sheet], after: Sequence[Sheet]) -> Iterator[Change]:
    """Yield the difference of two lists of sheets of one chapter, for every student who is in both."""
    old = {sheet.student: sheet for sheet in before}
    for sheet in after:
        if known := old.get(sheet.student):
            points = {mark.cell: mark.points or 0.0 for mark in known.marks}
            checks = {mark.cell: (mark.points or 0.0) - points.get(mark.cell, 0.0) for mark in sheet.marks}
            checks |= {cell: -lost for cell, lost in points.items() if cell not in checks}
            if known.total != sheet.total or any(checks.values()):
                moved = {cell: difference for cell, difference in checks.items() if difference}
                yield Change(sheet.chapter, sheet.student, known.total, sheet.total, moved)


def _changes(course: Course, copy: Course, name: str) -> Iterator[Change]:
    return changes(*(sheets(one, *one.chapters([name])) for one in (course, copy)))


def _copy(course: Course, root: Path) -> Course:
    """Return a course that shares everything with `course` but what grading writes."""
    copy = Course(root)
    shutil.copy(course.root / CONFIG_NAME, root)
    (root / "solutions").symlink_to(course.root / "solutions", target_is_directory=True)
    (root / "data").symlink_to(course.data, target_is_directory=True)
    copy.gradebook.mkdir()
    for folder in ("submitted", "attempts"):
        if (course.gradebook / folder).is_dir():
            (copy.gradebook / folder).symlink_to(course.gradebook / folder, target_is_directory=True)
    with alone(course):
        for file in (database(course), course.gradebook / EXTRA_TIME):
            if file.is_file():
                shutil.copy(file, copy.gradebook)
        if (course.gradebook / "autograded").is_dir():
            shutil.copytree(course.gradebook / "autograded", copy.gradebook / "autograded")
    return copy
