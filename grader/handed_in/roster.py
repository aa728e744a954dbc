"""The list of the class: who they are, and under which numbers and names a platform knows them."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
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
        names = {plain(name) for name in called} - {""}
        return exact or [student for student in self.students if names & {plain(student.name), plain(_turned(student.name))}]


@dataclass(frozen=True)
class Table:
    """A CSV of a platform: what it says, and how it is written, so that a filled copy is written the same way."""

    path: Path
    header: list[str]
    rows: list[list[str]]  # each at least as long as the header
    delimiter: str
    encoding: str  # "utf-8", "utf-8-sig" or "utf-16"

    @property
    def columns(self) -> list[str]:
        """The names of the columns as they are compared."""
        return [cell.strip().lower() for cell in self.header]

    def students(self) -> list[Student | None]:
        """Return the student of each row; None where a row is about nobody. Raises RosterError with the line where it cannot be said."""
        form = next((form for columns, form in FORMS if columns <= set(self.columns)), None)
        if form is None:
            known = "; ".join(", ".join(sorted(columns)) for columns, _ in FORMS)
            raise RosterError(
                f"{self.path}: line 1 names none of the columns that are known ({known})\n    remedy: name them in the first line"
            )
        students: list[Student | None] = []
        for line, row in enumerate(self.rows, 2):
            cells = defaultdict(str, zip(self.columns, (cell.strip() for cell in row), strict=False))
            student = form(cells) if any(row) else None
            if student and not student.key:
                raise RosterError(f"{self.path}: line {line}: no id for '{visible(student.name)}'\n    remedy: fill it in")
            students.append(student)
        return students


def table(path: Path) -> Table:
    """Read a CSV with commas, semicolons or tabs, in UTF-8 or UTF-16. Raises RosterError where that cannot be done."""
    text, encoding = _text(path)
    delimiter = max(DELIMITERS, key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header, *rows = list(reader) or [[]]
    except csv.Error as error:  # a quotation mark that nothing closes, a cell that never ends
        raise RosterError(f"{path}: line {reader.line_num}: {error}\n    remedy: save it anew as 'CSV UTF-8'") from error
    return Table(path, header, [[*row, *[""] * (len(header) - len(row))] for row in rows], delimiter, encoding)


def read(path: Path) -> Roster:
    """Read a list: Canvas's gradebook, Moodle's grading worksheet or list of participants, or columns `id` and `name`.

    Raises RosterError, with the line, where it cannot be used.
    """
    students = [student for student in table(path).students() if student]
    if not students:
        raise RosterError(f"{path}: no student stands in it\n    remedy: name the list of the class")
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


def _own(cells: dict[str, str]) -> Student:
    return Student(key(cells["id"]), cells["name"], (cells["id"],))


FORMS: list[tuple[set[str], Callable[[dict[str, str]], Student | None]]] = [
    ({"student", "id"}, _canvas),
    ({"identifier", "full name"}, _worksheet),
    ({"first name", "last name", "email address"}, _participants),
    ({"id", "name"}, _own),
]


def _text(path: Path) -> tuple[str, str]:
    """Return what the file says, and its encoding."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RosterError(f"{path}: cannot be read: {error.strerror}\n    remedy: name the CSV that the platform gives") from error
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # as Excel writes "Unicode text"
        encoding = "utf-16"
    else:
        encoding = "utf-8-sig" if content.startswith(codecs.BOM_UTF8) else "utf-8"
    try:
        return content.decode(encoding), encoding
    except UnicodeError as error:
        raise RosterError(f"{path}: neither UTF-8 nor UTF-16\n    remedy: save it as 'CSV UTF-8'") from error


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


def plain(name: str) -> str:
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
