"""Writes what the engine found into nbgrader's gradebook, as nbgrader itself would: one process writes, one submission at a time."""

from __future__ import annotations

import dataclasses
import json
import time
from contextlib import ExitStack
from typing import Any, Self

from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.api import InvalidEntry, MissingEntry
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import AssignLatePenalties
from nbgrader.utils import parse_utc
from sqlalchemy.exc import OperationalError

from grader import files
from grader.course import Chapter, Course
from grader.ledger.converters import course_config
from grader.ledger.gradebook import autograded, gradebook, set_to_nothing
from grader.ledger.preprocessors import error_output, mark_answers
from grader.ledger.results import STATE_KEY, State
from grader.notebook import dumps
from grader.template import grade_id

PATIENCE = 60.0  # seconds for another program to let go of the database


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
        cells = [*sheet.grade_cells, *sheet.solution_cells, *sheet.task_cells]
        self._names = {cell.id: cell.name for cell in cells}  # else each grade would ask for its name, in every submission
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
        notebook.metadata[STATE_KEY] = dataclasses.asdict(state)
        mark_answers(notebook, self.template)
        for cell in notebook.cells:
            name = grade_id(cell)
            if cell.cell_type == "code":
                cell.execution_count = None
                failure = state.failures.get(name or cell.id)
                cell.outputs = [error_output(*failure)] if failure else []
        self._write_marks(student, notebook, passed, handed_in)
        files.write_if_changed(autograded(self.course, self.chapter, student), dumps(notebook).encode())

    def _write_marks(self, student: str, notebook: NotebookNode, passed: set[str], handed_in: str) -> None:
        """Write the marks; where another program, such as formgrader, has the database for itself, wait for it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self._try_to_write_marks(student, notebook, passed, handed_in)
                return
            except (OperationalError, InvalidEntry) as error:
                self.book.db.rollback()
                self.book.db.expunge_all()
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def _try_to_write_marks(self, student: str, notebook: NotebookNode, passed: set[str], handed_in: str) -> None:
        book, name = self.book, self.chapter.name
        book.update_or_create_student(student)
        with book.db.no_autoflush:  # else SQLAlchemy warns of nbgrader's half-made submission
            submission = book.update_or_create_submission(name, student, **({"timestamp": handed_in} if handed_in else {}))
        sheet = book.find_submission_notebook(name, name, student)
        cells = {grade_id(cell): cell for cell in notebook.cells if grade_id(cell)}
        for grade in sheet.grades:
            grade.auto_score = self._score(cells.get(self._names[grade.cell_id]), passed)
            grade.needs_manual_grade = grade.manual_score is not None or grade.auto_score is None  # as SaveAutoGrades has it
        for comment in sheet.comments:
            cell = cells.get(self._names[comment.cell_id])
            unanswered = cell is not None and cell.metadata.nbgrader.get("checksum") == utils.compute_checksum(cell)
            comment.auto_comment = "No response." if unanswered else None
        book.db.flush()
        sheet.late_submission_penalty = self._penalty(student, sheet, submission)
        book.db.commit()
        book.db.expunge_all()

    @staticmethod
    def _score(cell: NotebookNode | None, passed: set[str]) -> float | None:
        """Return a cell's points; None where a person has to give them."""
        if cell is None:
            return 0.0
        if cell.cell_type == "code" and not utils.is_solution(cell):
            return float(cell.metadata.nbgrader["points"]) if grade_id(cell) in passed else 0.0
        points: float | None = utils.determine_grade(cell)[0]
        return points

    def _penalty(self, student: str, sheet: Any, submission: Any) -> float | None:
        """Return what the course's plugin takes off for lateness, as AssignLatePenalties has it."""
        if submission.total_seconds_late <= 0:
            return None
        penalty = self._late.plugin_inst.late_submission_penalty(student, sheet.score, submission.total_seconds_late)
        return None if penalty is None else self._late._check_late_penalty(sheet, penalty)
