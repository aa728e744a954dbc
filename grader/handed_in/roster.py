"""The list of the class: who they are, and under which numbers and names a platform knows them."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from grader.course import Course
from grader.errors import GraderError
from grader.files import write_if_changed
from grader.safe_text import visible

FILE = "roster.json"  # in the folder of the gradebook
DELIMITERS = ",;\t"
_UNSAFE = re.compile(r"[^\w.@+-]")  # in the name of a student's folder
_PARTICIPANT = re.compile(r"\d+")


class RosterError(GraderError):
    """The list of the class cannot be read, or says something twice."""


@dataclass(frozen=True)
class Student:
    """One student: `key` names their folder and their rows in the gradebook, `ids` are what platforms call them."""

    key: str
    name: str
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Roster:
    """The class, found by key, id or name."""

    students: tuple[Student, ...]

    def find(self, *called: str) -> list[Student]:
        """Return whom an id or a key means; where none does, whom a name means: two students may have one name."""
        exact = [student for student in self.students if set(called) & {student.key, *student.ids}]
        names = {_plain(name) for name in called} - {""}
        return exact or [student for student in self.students if names & {_plain(student.name), _plain(_turned(student.name))}]


def read(path: Path) -> Roster:
    """Read a list as CSV: Canvas's gradebook, Moodle's grading worksheet or list of participants, or columns `id` and `name`.

    Commas, semicolons or tabs; UTF-8 or UTF-16. Raises RosterError with the line where it cannot be used.
    """
    rows = list(csv.reader(io.StringIO(_text(path), newline=""), delimiter=_delimiter(path)))
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    form = next((form for columns, form in FORMS if columns <= set(header)), None)
    if form is None:
        known = "; ".join(", ".join(sorted(columns)) for columns, _ in FORMS)
        raise RosterError(f"{path}: line 1 names none of the columns that are known ({known})\n    remedy: name them in the first line")
    students = []
    for line, row in enumerate(rows[1:], 2):
        cells = defaultdict(str, zip(header, (cell.strip() for cell in row), strict=False))
        student = form(cells)
        if student is None:
            continue
        if not student.key:
            raise RosterError(f"{path}: line {line}: no id for '{visible(student.name)}'\n    remedy: fill it in")
        students.append(student)
    _require_unique(path, students)
    return Roster(tuple(students))


def load(course: Course) -> Roster | None:
    """Return the list that was last kept; None where there is none."""
    path = course.gradebook / FILE
    try:
        entries = json.loads(path.read_bytes())
        return Roster(tuple(Student(entry["key"], entry["name"], tuple(entry["ids"])) for entry in entries))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RosterError(f"{path}: cannot be read: {error}\n    remedy: delete it, and give --roster again") from error


def keep(course: Course, roster: Roster) -> None:
    """Keep the list, for exports and for the next time."""
    entries = [{"key": student.key, "name": student.name, "ids": list(student.ids)} for student in roster.students]
    write_if_changed(course.gradebook / FILE, json.dumps(entries, ensure_ascii=False, indent=1).encode())


def _canvas(cells: dict[str, str]) -> Student | None:
    if not cells["id"] or cells["student"] in ("Points Possible", "Student, Test"):
        return None
    ids = [cells[column] for column in ("id", "sis user id", "sis login id") if cells[column]]
    return Student(key(cells["sis login id"] or cells["id"]), cells["student"], tuple(ids))


def _worksheet(cells: dict[str, str]) -> Student:
    number = _PARTICIPANT.search(cells["identifier"])
    ids = [number[0] if number else "", cells["id number"], cells["email address"]]
    return Student(key(cells["email address"] or ids[0]), cells["full name"], tuple(filter(None, ids)))


def _participants(cells: dict[str, str]) -> Student:
    name = f"{cells['first name']} {cells['last name']}"
    return Student(key(cells["email address"]), name, tuple(filter(None, (cells["id number"], cells["email address"]))))


def _own(cells: dict[str, str]) -> Student | None:
    return Student(key(cells["id"]), cells["name"], (cells["id"],)) if any(cells.values()) else None


FORMS: list[tuple[set[str], Callable[[dict[str, str]], Student | None]]] = [
    ({"student", "id"}, _canvas),
    ({"identifier", "full name"}, _worksheet),
    ({"first name", "last name", "email address"}, _participants),
    ({"id", "name"}, _own),
]


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RosterError(f"{path}: cannot be read: {error.strerror}\n    remedy: name the CSV with the list of the class") from error
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # as Excel writes "Unicode text"
    with suppress(UnicodeError):
        return content.decode("utf-16" if marked else "utf-8-sig")
    raise RosterError(f"{path}: neither UTF-8 nor UTF-16\n    remedy: save it as 'CSV UTF-8'")


def _delimiter(path: Path) -> str:
    first = _text(path).partition("\n")[0]
    return max(DELIMITERS, key=first.count)


def _require_unique(path: Path, students: list[Student]) -> None:
    owners: defaultdict[str, set[Student]] = defaultdict(set)
    for student in students:
        for name in {student.key.casefold(), *student.ids}:
            owners[name].add(student)
    for name, several in owners.items():
        if len(several) > 1:
            who = " and ".join(sorted(f"'{visible(student.name)}'" for student in several))
            raise RosterError(f"{path}: '{visible(name)}' is the id of {who}\n    remedy: give each student an id of their own")


def key(text: str) -> str:
    """Return a name for a folder: what a file system, nbgrader and a shell all take."""
    return _UNSAFE.sub("_", text).strip(".")[:100]


def _plain(name: str) -> str:
    """Return a name as Canvas writes it in names of files: small letters and digits, nothing between them."""
    return "".join(character for character in name.casefold() if character.isalnum())


def _turned(name: str) -> str:
    """Return 'Lovelace, Ada' as 'Ada Lovelace', and the other way round."""
    first, comma, last = name.partition(",")
    if comma:
        return f"{last} {first}"
    *first_names, last_name = name.split() or [""]
    return " ".join([last_name, *first_names])


def describe(students: list[Student]) -> Iterator[str]:
    """Yield each student for a person to read."""
    for student in students:
        yield f"{visible(student.name)} ({student.key})" if student.name else student.key
