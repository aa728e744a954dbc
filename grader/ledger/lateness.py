"""When a chapter is due, what lateness costs, and who has extra time."""

from __future__ import annotations

import csv
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from nbgrader.api import MissingEntry
from nbgrader.plugins import BasePlugin
from nbgrader.utils import parse_utc
from traitlets import Float

from grader.course import Chapter, Course
from grader.errors import LedgerError
from grader.handed_in import roster as class_list
from grader.ledger.converters import database
from grader.ledger.gradebook import alone, gradebook, prepare

EXTRA_TIME = "extra_time.csv"  # in the folder of the gradebook: student, hours, and perhaps chapter
DAY, HOUR = 86_400, 3_600  # seconds


@dataclass(frozen=True)
class ExtraTime:
    """The hours that a student has more; for every chapter where none is named."""

    student: str
    hours: float
    chapter: str = ""


class LatePenalty(BasePlugin):
    """Takes a share of the points off for each day that has begun since a chapter was due; `nbgrader_config.py` says how much."""

    per_day = Float(0.0, min=0.0, max=1.0, help="The share of the points that a day costs; 0: lateness costs nothing.").tag(config=True)
    at_most = Float(1.0, min=0.0, max=1.0, help="The share of the points that is taken off at most.").tag(config=True)

    def late_submission_penalty(self, student_id: str, score: float, total_seconds_late: float) -> float | None:
        """Return the points that a submission loses; None where it loses none. What LatePenalty is asked, nbgrader's own plugin is."""
        late = total_seconds_late - self._extra_seconds(student_id)
        if late <= 0 or not self.per_day:
            return None
        return score * min(self.per_day * math.ceil(late / DAY), self.at_most)

    def _extra_seconds(self, student: str) -> float:
        chapter = self.parent.coursedir.assignment_id
        return sum(extra.hours * HOUR for extra in self._extra if extra.student == student and extra.chapter in ("", chapter))

    @cached_property
    def _extra(self) -> list[ExtraTime]:
        return extra_time(Course(Path(self.parent.coursedir.root)))


def extra_time(course: Course) -> list[ExtraTime]:
    """Return who has extra time. Raises LedgerError, with the line, where the file cannot be used."""
    path = course.gradebook / EXTRA_TIME
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        return []
    except (OSError, ValueError, csv.Error) as error:
        raise LedgerError(f"{path}: cannot be read: {error}\n    remedy: save it as 'CSV UTF-8' with the columns student, hours") from error
    names = {name: chapter.name for chapter in course.chapters() for name in (chapter.name, chapter.number)}
    roster = class_list.load(course)
    known = {student.key for student in roster.students} if roster else set()
    found = []
    for line, row in enumerate(rows, start=2):
        cells = {(column or "").strip().lower(): (cell or "").strip() for column, cell in row.items() if isinstance(cell, str)}
        try:
            hours = float(cells["hours"])
            if not 0 <= hours < math.inf:
                raise ValueError(f"{cells['hours']} are no hours")
            chapter = names[cells["chapter"]] if cells.get("chapter") else ""
            if known and cells["student"] not in known:
                raise ValueError(f"'{cells['student']}' does not stand in the list of the class ({class_list.FILE})")
            found.append(ExtraTime(cells["student"], hours, chapter))
        except (KeyError, ValueError) as error:
            remedy = "write the columns student, hours, and perhaps chapter, such as `s017,48,05`"
            raise LedgerError(f"{path}: line {line}: {error}\n    remedy: {remedy}") from error
    return found


def due(course: Course, chapter: Chapter) -> str:
    """Return when a chapter is due, in UTC; nothing where nobody said so."""
    if not database(course).is_file():
        return ""
    with gradebook(course) as book:
        try:
            time = book.find_assignment(chapter.name).duedate
        except MissingEntry:
            return ""
    return f"{time:%Y-%m-%d %H:%M:%S} UTC" if time else ""


def later(course: Course, chapter: Chapter, hours: float) -> str:
    """Return the time so many hours after a chapter is due, in UTC; nothing where it has no due date."""
    time = due(course, chapter)
    return f"{parse_utc(time) + timedelta(hours=hours):%Y-%m-%d %H:%M:%S} UTC" if time else ""


def set_due(course: Course, chapter: Chapter, time: str) -> str:
    """Set when a chapter is due, in UTC where `time` names no zone; nothing takes it away. Returns what `due` does from now on.

    Raises LedgerError where `time` is no time.
    """
    parsed = _time(time) if time else None
    with alone(course):
        prepare(course, [chapter])
        with gradebook(course) as book:
            book.update_or_create_assignment(chapter.name, duedate=parsed)
    return due(course, chapter)


def _time(text: str) -> datetime:
    """Return a time in UTC, as nbgrader keeps it; its own `parse_utc` takes +0100 for a hundred seconds."""
    try:
        time = datetime.fromisoformat(re.sub(r"\s+(?=[+-]\d)", "", text.strip().removesuffix(" UTC")))
    except ValueError as error:
        raise LedgerError(f"'{text}' is no time\n    remedy: write one such as '2026-11-30 23:59 +0100'") from error
    return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time
