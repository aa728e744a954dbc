"""What was handed in: where it lies, when it came, and what in the folder belongs to no chapter."""

from __future__ import annotations

from dataclasses import dataclass
from glob import escape
from pathlib import Path

from nbformat import NotebookNode
from nbgrader.utils import parse_utc

from grader.course import Chapter, Course
from grader.errors import LedgerError
from grader.ledger.results import Problem
from grader.safe_text import visible
from grader.template import Note, read_submission

TIMESTAMP = "timestamp.txt"


@dataclass(frozen=True)
class HandedIn:
    """One submission, read: its cells, and when it came (nothing where no file says so); and what was found on the way."""

    chapter: Chapter
    student: str
    path: Path
    cells: NotebookNode | Note  # a note where it cannot be graded
    time: str = ""
    notes: tuple[Note, ...] = ()

    def problem(self, note: Note, *, ungraded: bool = False) -> Problem:
        """Return what a person should know about it."""
        return Problem(self.student, self.chapter.name, self.path, note.found, note.remedy, ungraded)


def read(course: Course, chapter: Chapter, student: str, template: NotebookNode, path: Path | None = None) -> HandedIn | Problem:
    """Read a submission, or the attempt at `path`; a Problem where it cannot be looked at and its marks must stay as they were."""
    path = path or submitted(course, chapter, student)
    unread = HandedIn(chapter, student, path, Note("", ""))
    if escape(student) != student or student.strip() != student:
        found = Note("nbgrader cannot look for a name with *, ?, [ or ], or with spaces around it", "rename the student's folder")
        return unread.problem(found, ungraded=True)
    if visible(student) != student or "\n" in student or "\t" in student:
        return unread.problem(Note("a name with control characters", "rename the student's folder"), ungraded=True)
    try:
        cells = read_submission(path, template)
        time, notes = _time(path) if not isinstance(cells, Note) else ("", ())
    except OSError as error:
        found = Note(f"it could not be graded: {error}", "mend this and grade again; its marks are as they were")
        return unread.problem(found, ungraded=True)
    return HandedIn(chapter, student, path, cells, time, notes)


def require(course: Course, chapters: list[Chapter]) -> None:
    """Raise LedgerError where there is nothing to grade."""
    if chapters and not any(students(course, chapter) for chapter in chapters):
        raise LedgerError(f"{_folder(course)}: no submissions\n    remedy: put each at <student>/<chapter>/<chapter>.ipynb in this folder")


def students(course: Course, chapter: Chapter) -> list[str]:
    """Return the students who have a folder for `chapter`, by name."""
    return sorted(folder.parent.name for folder in _folder(course).glob(f"*/{escape(chapter.name)}") if folder.is_dir())


def strays(course: Course) -> list[Problem]:
    """Return a problem for everything in the folder of submissions that no chapter asks for."""
    known = {chapter.name for chapter in course.chapters()}
    found = [path for path in sorted(_folder(course).glob("*/*")) if path.name not in known and not path.name.startswith(".")]
    remedy = f"if it is a submission, put it at {Path('<student>', '<chapter>', '<chapter>.ipynb')}"
    return [Problem(path.parent.name, "", path, f"no chapter is called '{path.name}'", remedy) for path in found]


def submitted(course: Course, chapter: Chapter, student: str) -> Path:
    """Return the place of a submission."""
    return _folder(course) / student / chapter.name / f"{chapter.name}.ipynb"


def attempts_folder(course: Course, chapter: Chapter, student: str) -> Path:
    """Return the folder of a student's attempts, in each folder of which lies one as it came."""
    return course.gradebook / "attempts" / student / chapter.name


def attempts(course: Course, chapter: Chapter, student: str) -> list[Path]:
    """Return all attempts of a student, the last one last."""
    found = attempts_folder(course, chapter, student).glob(f"*/{escape(chapter.name)}.ipynb")
    return sorted(found, key=lambda path: [int(number) if number.isdigit() else 0 for number in path.parent.name.split("-")])


def _folder(course: Course) -> Path:
    return course.gradebook / "submitted"


def _time(path: Path) -> tuple[str, tuple[Note, ...]]:
    """Return what the timestamp beside a submission says."""
    stamp = path.with_name(TIMESTAMP)
    if not stamp.is_file() or stamp.is_symlink():
        return "", ()
    text = stamp.read_bytes()[:100].decode(errors="replace").strip()
    try:
        parse_utc(text)
    except (ValueError, OverflowError):
        return "", (Note(f"{TIMESTAMP} holds no time: {text!r}", "write one such as 2026-09-01 12:00:00 UTC; it was graded as in time"),)
    return text, ()
