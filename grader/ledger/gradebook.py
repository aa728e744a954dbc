"""The gradebook: made, brought up to date, written to for submissions that never run, and read."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from alembic.script import ScriptDirectory
from filelock import FileLock, Timeout
from nbformat import NotebookNode
from nbgrader.api import Assignment, Base, BaseCell, Comment, Grade, Gradebook, InvalidEntry, SubmittedAssignment, SubmittedNotebook
from nbgrader.converters import GenerateAssignment
from nbgrader.dbutil import ALEMBIC_DIR
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import SQLAlchemyError

from grader.course import Chapter, Course
from grader.errors import LedgerError
from grader.ledger.converters import convert, course_config, database, db_url
from grader.ledger.results import STATE_KEY, Mark, Paper, Sheet, State
from grader.notebook import load
from grader.template import exercises


def prepare(course: Course, chapters: list[Chapter]) -> None:
    """Make the gradebook where there is none, and bring the chapters' cells in it up to date with `solutions/`; marks stay.

    Raises LedgerError where the gradebook is not one of this nbgrader, or a chapter is not built.
    """
    course.gradebook.mkdir(parents=True, exist_ok=True)
    if not database(course).exists():
        _make(course)
    _require_schema(database(course))
    for chapter in chapters:
        config = course_config(course)
        config.CourseDirectory.assignment_id = chapter.name
        config.CourseDirectory.notebook_id = chapter.name
        config.GenerateAssignment.force = True
        with tempfile.TemporaryDirectory() as folder:
            config.CourseDirectory.release_directory = folder
            if refused := convert(GenerateAssignment, config):
                raise LedgerError(f"{chapter.instructor}: nbgrader refused it: {refused}\n    remedy: run `make build` and `make check`")


def _make(course: Course) -> None:
    """Make an empty gradebook, beside its place and then renamed: killed while it is made, it would be no gradebook."""
    begun = beginning(course)
    begun.unlink(missing_ok=True)
    engine = create_engine(f"sqlite:///{begun}")
    try:
        Base.metadata.create_all(engine)
        with engine.begin() as connection:  # as Gradebook has it, but that it starts a program for several seconds to ask for the version
            connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
            connection.execute(text("INSERT INTO alembic_version VALUES (:version)"), {"version": _schema()})
        engine.dispose()
        begun.replace(database(course))
    except (OSError, SQLAlchemyError) as error:
        engine.dispose()
        begun.unlink(missing_ok=True)
        raise _unwritable(database(course), getattr(error, "orig", error)) from error


def _unwritable(path: Path, error: object) -> LedgerError:
    return LedgerError(f"{path}: cannot be written: {error}\n    remedy: make room on the disk, or make the folder writable")


def beginning(course: Course) -> Path:
    """Return the file that becomes the gradebook's database."""
    return database(course).with_suffix(".db.new")


def template_of(chapter: Chapter) -> NotebookNode:
    """Return the instructor notebook; LedgerError where there is none."""
    try:
        return load(chapter.instructor)
    except Exception as error:  # missing, not JSON, not a notebook
        raise LedgerError(f"{chapter.instructor}: cannot be read: {error}\n    remedy: run `make build`") from error


def give_nothing(course: Course, chapter: Chapter, student: str) -> None:
    """Set every automatic mark of a submission to 0 and drop its graded copy; marks given by hand stay."""
    with gradebook(course) as book:
        set_to_nothing(book, course, chapter, student)


def set_to_nothing(book: Any, course: Course, chapter: Chapter, student: str) -> None:
    """Do what `give_nothing` does in a gradebook that is open."""
    shutil.rmtree(autograded(course, chapter, student).parent, ignore_errors=True)
    book.update_or_create_student(student)
    with book.db.no_autoflush:  # else SQLAlchemy warns of nbgrader's half-made submission
        book.update_or_create_submission(chapter.name, student)
    notebook = book.find_submission_notebook(chapter.name, chapter.name, student)
    notebook.late_submission_penalty = None
    for grade in notebook.grades:
        grade.auto_score, grade.needs_manual_grade = 0.0, False
    book.db.commit()


def sheets(course: Course, chapter: Chapter) -> list[Sheet]:
    """Return the marks of every student who ever handed in `chapter`, by name; none where the gradebook does not know it."""
    return [paper.sheet for paper in papers(course, chapter)]


def papers(course: Course, chapter: Chapter) -> list[Paper]:
    """Return what there is to read of every student who ever handed in `chapter`, by name."""
    if not database(course).is_file():
        return []
    _require_schema(database(course))
    owners = exercises(template_of(chapter))
    with gradebook(course) as book:
        found = {student: _Row(penalty or 0.0) for student, penalty in _of(book, chapter, SubmittedNotebook.late_submission_penalty)}
        points = (BaseCell.name, Grade.score, Grade.max_score, Grade.auto_score, Grade.manual_score)
        for student, cell, *values in _of(book, chapter, *points, through=(Grade, BaseCell)):
            found[student].grades[cell] = values
        for student, cell, comment in _of(book, chapter, BaseCell.name, Comment.comment, through=(Comment, BaseCell)):
            if comment:
                found[student].comments[cell] = comment
    return [_paper(course, chapter, student, row, owners) for student, row in sorted(found.items())]


@dataclass
class _Row:
    """What the gradebook knows of one submission."""

    penalty: float
    grades: dict[str, list[Any]] = field(default_factory=dict)  # cell → score, possible, automatic score, score by hand
    comments: dict[str, str] = field(default_factory=dict)


def _of(book: Any, chapter: Chapter, *columns: Any, through: Sequence[Any] = ()) -> Any:
    """Ask for columns of every submission of a chapter, the student first, in one query: an attribute at a time takes seconds."""
    query = select(SubmittedAssignment.student_id, *columns).select_from(SubmittedAssignment)
    query = query.join(Assignment, Assignment.id == SubmittedAssignment.assignment_id).where(Assignment.name == chapter.name)
    query = query.join(SubmittedNotebook, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
    for table, other in pairwise((SubmittedNotebook, *through)):
        query = query.join(other, other.notebook_id == table.id if table is SubmittedNotebook else other.id == table.cell_id)
    return book.db.execute(query)


def autograded(course: Course, chapter: Chapter, student: str) -> Path:
    """Return the place of a submission's graded copy."""
    return course.gradebook / "autograded" / student / chapter.name / f"{chapter.name}.ipynb"


def _paper(course: Course, chapter: Chapter, student: str, row: _Row, owners: dict[str, str]) -> Paper:
    copy = _graded_copy(autograded(course, chapter, student))
    marks = tuple(_mark(name, owner, row.grades[name], copy.errors.get(name, "")) for name, owner in owners.items() if name in row.grades)
    answers = {name: error for name, error in copy.errors.items() if name in owners.values() and name not in owners}
    return Paper(Sheet(chapter.name, student, marks, row.penalty, answers), copy.answers, row.comments, copy.state)


def _mark(name: str, owner: str, grade: Sequence[Any], error: str) -> Mark:
    score, possible, automatic, by_hand = grade
    ungiven = automatic is None and by_hand is None
    lost = not ungiven and score < possible
    return Mark(name, owner, None if ungiven else float(score), float(possible), error if lost else "")


@dataclass
class _GradedCopy:
    """What a graded copy of a submission tells."""

    errors: dict[str, str] = field(default_factory=dict)  # cell → what it raised
    answers: dict[str, str] = field(default_factory=dict)
    state: State | None = None


def _graded_copy(path: Path) -> _GradedCopy:
    """Read a graded copy; where there is none, or one that something else spoiled, only the marks are known."""
    found = _GradedCopy()
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            about = cell["metadata"].get("nbgrader", {})
            if about.get("solution"):
                found.answers[about["grade_id"]] = "".join(cell["source"])
            for output in cell.get("outputs", []):
                if about and output["output_type"] == "error":
                    found.errors[about["grade_id"]] = f"{output['ename']}: {output['evalue']}".removesuffix(": ")
        if STATE_KEY in notebook["metadata"]:
            found.state = State(**notebook["metadata"][STATE_KEY])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return found


@contextmanager
def alone(course: Course) -> Iterator[None]:
    """Keep every other process of ours from writing marks; LedgerError where one is at it. A process that dies holds nothing up."""
    lock = FileLock(course.gradebook / "grading.lock")
    try:
        course.gradebook.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        remedy = "wait for it, or stop it; then run this again"
        raise LedgerError(f"{course.gradebook}: another `make grade` is under way\n    remedy: {remedy}") from None
    except OSError as error:
        raise _unwritable(course.gradebook, error) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def gradebook(course: Course) -> Iterator[Any]:
    """Open the gradebook; LedgerError where the database cannot be used."""
    try:
        with Gradebook(db_url(course), course_config(course).CourseDirectory.course_id) as book:
            yield book
    except (SQLAlchemyError, InvalidEntry) as error:  # nbgrader makes the second of the first
        raise LedgerError(
            f"{database(course)}: cannot be used: {error}\n"
            "    remedy: close other programs that use it, make it writable, make room on the disk; then run this again: nothing is lost"
        ) from error


def _require_schema(path: Path) -> None:
    """Raise LedgerError where `path` is there but is not a gradebook of this nbgrader, which would add tables to it without a word."""
    if not path.exists():
        return
    try:  # to be read only, but with the right to write: what a killed run left must be rolled back
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as connection:
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        raise LedgerError(
            f"{path}: this is no gradebook: {error}\n    remedy: move it away (a new one is made), or put a backup in its place"
        ) from error
    wanted = _schema()
    if not found or found[0] != wanted:
        raise LedgerError(
            f"{path}: a gradebook of another nbgrader (schema {found[0] if found else 'unknown'}, not {wanted})\n"
            f"    remedy: copy the file to a safe place, then run `nbgrader db upgrade` in the course folder"
        )


def _schema() -> str:
    """Return the version of this nbgrader's tables."""
    return str(ScriptDirectory(ALEMBIC_DIR).get_current_head())
