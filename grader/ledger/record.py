"""Writes what the engine found into nbgrader's gradebook, as nbgrader itself would: one process writes, one submission at a time."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from typing import Any, Self

from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.api import Comment, Grade, MissingEntry, Student, SubmittedAssignment, SubmittedNotebook, new_uuid
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import AssignLatePenalties
from nbgrader.utils import parse_utc
from sqlalchemy import Boolean, Connection, bindparam, select
from sqlalchemy.exc import OperationalError

from grader import files
from grader.course import Chapter, Course
from grader.ledger.converters import course_config
from grader.ledger.gradebook import autograded, gradebook, set_to_nothing
from grader.ledger.preprocessors import error_output, mark_answers
from grader.ledger.results import STATE_KEY, State
from grader.template import grade_id

PATIENCE = 60.0  # seconds for another program to let go of the database

_STUDENTS, _SUBMISSIONS, _SHEETS, _GRADES, _COMMENTS = (
    kind.__table__ for kind in (Student, SubmittedAssignment, SubmittedNotebook, Grade, Comment)
)
_GIVE_POINTS = (
    _GRADES.update()
    .where(_GRADES.c.notebook_id == bindparam("sheet"), _GRADES.c.cell_id == bindparam("cell"))
    .values(auto_score=bindparam("score"), needs_manual_grade=_GRADES.c.manual_score.is_not(None) | bindparam("ungiven", type_=Boolean))
)
_COMMENT = (
    _COMMENTS.update()
    .where(_COMMENTS.c.notebook_id == bindparam("sheet"), _COMMENTS.c.cell_id == bindparam("cell"))
    .values(auto_comment=bindparam("comment"))
)


class Recorder:
    """The gradebook, open for one chapter. Use it as a context manager."""

    def __init__(self, course: Course, chapter: Chapter, template: NotebookNode) -> None:
        self.course, self.chapter, self.template = course, chapter, template
        self._stack = ExitStack()
        config = course_config(course)
        config.CourseDirectory.assignment_id = chapter.name
        self._late = AssignLatePenalties(parent=None, config=config)
        self._late.coursedir = CourseDirectory(config=config)
        self._late.init_plugin()

    def __enter__(self) -> Self:
        self.book = self._stack.enter_context(gradebook(self.course))
        sheet = self.book.find_notebook(self.chapter.name, self.chapter.name)
        self._assignment, self._notebook = sheet.assignment_id, sheet.id
        self._grades = {cell.name: cell.id for cell in (*sheet.grade_cells, *sheet.task_cells)}
        self._answers = {cell.name: cell.id for cell in (*sheet.solution_cells, *sheet.task_cells)}
        self._due = self.book.find_assignment(self.chapter.name).duedate
        self.book.db.expunge_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def state(self, student: str) -> State | None:
        """Return what was recorded for a student; None where nothing was, or where the gradebook does not know of it."""
        try:
            text = autograded(self.course, self.chapter, student).read_text(encoding="utf-8")
            state = State(**json.loads(text)["metadata"][STATE_KEY])
            self.book.find_submission_notebook(self.chapter.name, self.chapter.name, student)
        except (OSError, ValueError, TypeError, KeyError, MissingEntry):
            return None
        finally:
            self.book.db.expunge_all()
        return state

    def penalty_again(self, student: str) -> None:
        """Work out anew what lateness costs: the due date, the extra time or the settings may have changed since."""
        sheet = self.book.find_submission_notebook(self.chapter.name, self.chapter.name, student)
        if self._due is not None or sheet.late_submission_penalty is not None:
            sheet.late_submission_penalty = self._penalty(student, sheet, self.book.find_submission(self.chapter.name, student))
            self.book.db.commit()
        self.book.db.expunge_all()

    def less_penalty(self, student: str, points: float, handed_in: str) -> float:
        """Return the points that are left of `points` where a submission came at a time, such as `2026-09-01 12:00:00 UTC`."""
        if not handed_in or self._due is None or (late := (parse_utc(handed_in) - self._due).total_seconds()) <= 0:
            return points
        return points - min(self._late.plugin_inst.late_submission_penalty(student, points, late) or 0.0, points)

    def nothing(self, student: str) -> None:
        """Give a submission that cannot be graded no points; marks given by hand stay."""
        set_to_nothing(self.book, self.course, self.chapter, student)
        self.book.db.expunge_all()

    def marks(self, student: str, notebook: NotebookNode, state: State, passed: set[str], handed_in: str) -> None:
        """Write the marks of a submission, then its graded copy; where this is interrupted, the next run grades it again."""
        notebook.metadata[STATE_KEY] = vars(state)
        mark_answers(notebook, self.template)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                failure = state.failures.get(grade_id(cell) or cell.id)
                cell.outputs = [error_output(*failure)] if failure else []
        self._write_marks(student, notebook, passed, handed_in)
        copy = json.dumps(notebook, ensure_ascii=False)  # programs read it; nbformat's layout for people takes ten times as long
        files.write_if_changed(autograded(self.course, self.chapter, student), copy.encode())

    def _write_marks(self, student: str, notebook: NotebookNode, passed: set[str], handed_in: str) -> None:
        """Write the marks; where another program, such as formgrader, has the database for itself, wait for it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self._try_to_write_marks(student, notebook, passed, handed_in)
                return
            except OperationalError as error:
                self.book.db.rollback()
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            finally:
                self.book.db.expunge_all()

    def _try_to_write_marks(self, student: str, notebook: NotebookNode, passed: set[str], handed_in: str) -> None:
        """Write what nbgrader's Gradebook, SaveAutoGrades and AssignLatePenalties would, many rows at a time and in one transaction.

        A row at a time takes three times as long as a submission's own code, and each transaction waits for the disk.
        """
        db = self.book.db.connection()
        sheet = self._sheet(db, student, handed_in)
        cells = {grade_id(cell): cell for cell in notebook.cells if grade_id(cell)}
        scores = [(cell, self._score(cells.get(name), passed)) for name, cell in self._grades.items()]
        db.execute(_GIVE_POINTS, [{"sheet": sheet, "cell": cell, "score": score, "ungiven": score is None} for cell, score in scores])
        comments = [(cell, self._comment(cells.get(name))) for name, cell in self._answers.items()]
        db.execute(_COMMENT, [{"sheet": sheet, "cell": cell, "comment": comment} for cell, comment in comments])
        db.execute(_SHEETS.update().where(_SHEETS.c.id == sheet).values(late_submission_penalty=None))
        if self._due is not None:
            late = self.book.find_submission_notebook(self.chapter.name, self.chapter.name, student)
            late.late_submission_penalty = self._penalty(student, late, self.book.find_submission(self.chapter.name, student))
        self.book.db.commit()

    def _sheet(self, db: Connection, student: str, handed_in: str) -> str:
        """Return the id of a student's notebook in the gradebook; where it is new, made as nbgrader makes it, without marks."""
        time = {"timestamp": parse_utc(handed_in)} if handed_in else {}
        mine = (_SUBMISSIONS.c.assignment_id == self._assignment) & (_SUBMISSIONS.c.student_id == student)
        if submission := db.scalar(select(_SUBMISSIONS.c.id).where(mine)):
            if time:
                db.execute(_SUBMISSIONS.update().where(_SUBMISSIONS.c.id == submission).values(**time))
            its_own = (_SHEETS.c.assignment_id == submission) & (_SHEETS.c.notebook_id == self._notebook)
            return str(db.scalar(select(_SHEETS.c.id).where(its_own)))
        if not db.scalar(select(_STUDENTS.c.id).where(_STUDENTS.c.id == student)):
            db.execute(_STUDENTS.insert(), {"id": student})
        submission, sheet = str(new_uuid()), str(new_uuid())
        db.execute(_SUBMISSIONS.insert(), {"id": submission, "assignment_id": self._assignment, "student_id": student, **time})
        db.execute(_SHEETS.insert(), {"id": sheet, "assignment_id": submission, "notebook_id": self._notebook})
        db.execute(_GRADES.insert(), [{"notebook_id": sheet, "cell_id": cell} for cell in self._grades.values()])
        db.execute(_COMMENTS.insert(), [{"notebook_id": sheet, "cell_id": cell} for cell in self._answers.values()])
        return sheet

    @staticmethod
    def _score(cell: NotebookNode | None, passed: set[str]) -> float | None:
        """Return a cell's points; None where a person has to give them."""
        if cell is None:
            return 0.0
        if cell.cell_type == "code" and not utils.is_solution(cell):
            return float(cell.metadata.nbgrader["points"]) if grade_id(cell) in passed else 0.0
        points: float | None = utils.determine_grade(cell)[0]
        return points

    @staticmethod
    def _comment(cell: NotebookNode | None) -> str | None:
        """Return what is said of an answer cell by itself."""
        unanswered = cell is not None and cell.metadata.nbgrader.get("checksum") == utils.compute_checksum(cell)
        return "No response." if unanswered else None

    def _penalty(self, student: str, sheet: Any, submission: Any) -> float | None:
        """Return what the course's plugin takes off for lateness, as AssignLatePenalties has it."""
        if submission.total_seconds_late <= 0:
            return None
        penalty = self._late.plugin_inst.late_submission_penalty(student, sheet.score, submission.total_seconds_late)
        return None if penalty is None else self._late._check_late_penalty(sheet, penalty)
