"""Marks in the forms that Canvas and Moodle import: a copy of the platform's own CSV, with the marks of one chapter filled in."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from grader.errors import GraderError
from grader.files import write_if_changed
from grader.handed_in.roster import Table, table
from grader.ledger import Paper, Sheet
from grader.safe_text import no_formula

CANVAS = ("student", "id", "sis user id", "sis login id", "section")  # what Canvas needs to know whose a row is, in its own order
POINTS_POSSIBLE = "    Points Possible"
MOODLE_MARK, MOODLE_MAXIMUM = "grade", "maximum grade"
# columns that the platform reads back: ids, marks, and what an instructor wrote; students may have written what stands in any other
READ_BACK = {"id", "sis user id", "sis login id", "identifier", "id number", MOODLE_MARK, MOODLE_MAXIMUM, "feedback comments"}


class ExportError(GraderError):
    """The platform's CSV cannot be filled in; nothing was written."""


@dataclass(frozen=True)
class Export:
    """What was written: a file, and whose marks are in it or not."""

    path: Path
    filled: tuple[str, ...]
    empty: tuple[str, ...]  # students of the platform without a mark
    unmarked: tuple[str, ...]  # those who wait for a mark by hand
    left_out: tuple[str, ...]  # students of the gradebook whom the platform does not list
    scale: tuple[float, float]  # points possible here, and there


def export(platform: Path, chapter: str, sheets: Sequence[Sheet], out: Path, column: str = "") -> Export:
    """Write a copy of `platform`, a gradebook of Canvas or a grading worksheet of Moodle, with each student's total of a chapter.

    Where the platform has another maximum, points are scaled to it. `column` is Canvas's column for the chapter; without it, the
    one that begins with the chapter's name, else a new one. Raises ExportError or RosterError where `platform` cannot be used.
    """
    read = table(platform)
    students = read.students()
    marks = {sheet.student: sheet for sheet in sheets}
    possible = max((sheet.possible for sheet in sheets), default=0.0)
    filled = _Canvas(read, chapter, column, possible) if "student" in read.columns else _Moodle(read, possible)
    done, empty, unmarked = [], [], []
    for row, student in zip(read.rows, students, strict=True):
        if student is None:
            continue
        sheet = marks.pop(student.key, None)
        if sheet is None:
            empty.append(student.key)
        elif any(mark.points is None for mark in sheet.marks):
            unmarked.append(student.key)
        else:
            done.append(student.key)
            filled.mark(row, rounded(max(sheet.total, 0.0), possible, filled.maximum))
    if not done:
        raise ExportError(
            f"{platform}: none of its students has a mark to fill in: {len(empty)} have none, {len(unmarked)} wait for one by hand\n"
            "    remedy: run `make grade`, give marks by hand in `make formgrader`, or name the file of this class"
        )
    write_if_changed(out, _text(filled.header, filled.rows(), read).encode(read.encoding))
    return Export(out, tuple(done), tuple(empty), tuple(unmarked), tuple(marks), (possible, filled.maximum))


def export_json(chapter: str, papers: Sequence[Paper], out: Path) -> int:
    """Write everything that is known of the marks of a chapter, for programs of the reader's own; return how many students have some.

    Raises ExportError where there are none.
    """
    if not papers:
        raise ExportError(f"{chapter}: nobody has marks\n    remedy: run `make grade LESSON={chapter.partition('_')[0]}` first")
    students = [
        {
            "student": paper.sheet.student,
            "points": paper.sheet.total,
            "possible": paper.sheet.possible,
            "penalty": paper.sheet.penalty,
            "outcome": paper.state.outcome if paper.state else None,
            "checks": [asdict(mark) for mark in paper.sheet.marks],  # points are null where a person has to give them
            "comments": paper.comments,
        }
        for paper in papers
    ]
    write_if_changed(out, json.dumps({"chapter": chapter, "students": students}, ensure_ascii=False, indent=1).encode())
    return len(students)


def rounded(points: float, possible: float, maximum: float) -> str:
    """Return points of `possible` as points of `maximum`, with at most two decimal places, a half rounded up."""
    if not possible:
        return "0"
    value = Decimal(repr(points)) * Decimal(repr(maximum)) / Decimal(repr(possible))
    return format(value.quantize(Decimal("0.01"), ROUND_HALF_UP).normalize(), "f")


class _Canvas:
    """The columns by which Canvas knows a student, and the one of the chapter."""

    def __init__(self, read: Table, chapter: str, column: str, possible: float) -> None:
        self.read = read
        wanted = (column or chapter).lower()
        found = [place for place, name in enumerate(read.columns) if name == wanted or (not column and name.startswith(wanted))]
        if column and not found:
            names = ", ".join(repr(name) for name in read.header)
            raise ExportError(f"{read.path}: no column '{column}'\n    remedy: choose one of: {names}")
        if len(found) > 1:
            names = ", ".join(repr(read.header[place]) for place in found)
            raise ExportError(f"{read.path}: several columns are of this chapter: {names}\n    remedy: name one with --column")
        self.place = found[0] if found else None
        self.kept = [place for place, name in enumerate(read.columns) if name in CANVAS]
        self.header = [read.header[place] for place in self.kept] + [read.header[found[0]] if found else chapter]
        self.marks: dict[int, str] = {}
        self.maximum = possible
        for row in read.rows:
            if row and row[0].strip() == POINTS_POSSIBLE.strip():
                self.maximum = _number(_cell(row, self.place), possible)
                self.marks[id(row)] = f"{self.maximum:g}"

    def mark(self, row: list[str], points: str) -> None:
        self.marks[id(row)] = points

    def rows(self) -> list[list[str]]:
        return [[*(_cell(row, place) for place in self.kept), self.marks.get(id(row), _cell(row, self.place))] for row in self.read.rows]


def _cell(row: list[str], place: int | None) -> str:
    return row[place] if place is not None else ""


def _number(text: str, otherwise: float) -> float:
    """Return the number that a cell holds; a platform writes other things too, such as a dash."""
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        return otherwise
    return number if math.isfinite(number) else otherwise


class _Moodle:
    """The worksheet as it is, with the column of marks filled in."""

    def __init__(self, read: Table, possible: float) -> None:
        if MOODLE_MARK not in read.columns:
            raise ExportError(
                f"{read.path}: neither a gradebook of Canvas nor a grading worksheet of Moodle: there is no column 'Grade'\n"
                "    remedy: in Canvas, Grades, Export; in Moodle, the assignment's Submissions, Download grading worksheet"
            )
        self.read, self.header = read, read.header
        self.place = read.columns.index(MOODLE_MARK)
        self.maximum = possible
        if MOODLE_MAXIMUM in read.columns:
            maxima = {row[read.columns.index(MOODLE_MAXIMUM)] for row in read.rows if any(row)}
            if len(maxima) == 1:
                self.maximum = _number(maxima.pop(), possible)
        self.marks: dict[int, str] = {}

    def mark(self, row: list[str], points: str) -> None:
        self.marks[id(row)] = points

    def rows(self) -> list[list[str]]:
        filled = [[*row] for row in self.read.rows]
        for row, original in zip(filled, self.read.rows, strict=True):
            row[self.place] = self.marks.get(id(original), row[self.place])
        return filled


def _text(header: list[str], rows: list[list[str]], read: Table) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=read.delimiter)
    writer.writerow(header)
    kept = {place for place, name in enumerate(header) if name.strip().lower() in READ_BACK}
    if "student" in read.columns:
        kept.add(len(header) - 1)  # Canvas's column of the chapter
    for row in rows:
        writer.writerow([cell if place in kept or cell == "-" else no_formula(cell) for place, cell in enumerate(row)])
    return text.getvalue()
