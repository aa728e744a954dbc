"""Our own steps in nbgrader's pipelines; `nbgrader_config.py` says where each stands and why."""

from __future__ import annotations

import base64
import binascii
import html
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader import utils
from nbgrader.api import Comment, Grade, MissingEntry
from nbgrader.preprocessors import Execute, NbGraderPreprocessor, SaveCells
from traitlets import Integer, default

from grader.course import Chapter, Course
from grader.environment import ONE_THREAD
from grader.notebook import KERNELSPEC, load
from grader.safe_text import visible
from grader.template import blank, grade_id, hidden_lines, rebuild, without_hidden_tests

RAISES_TAG = "raises-exception"
ENDED = "ended"  # notebook metadata: why a run ended before its last cell
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
Resources = dict[str, Any]


class TagForRunAll(NbGraderPreprocessor):
    """Tags answers and checks so that JupyterLab's Run All carries on past those that are not solved yet."""

    def preprocess_cell(self, cell: NotebookNode, resources: Resources, cell_index: int) -> tuple[NotebookNode, Resources]:  # noqa: ARG002  (nbgrader calls it so)
        """Return the cell tagged."""
        if cell.cell_type == "code" and (utils.is_grade(cell) or utils.is_solution(cell)):
            cell.metadata["tags"] = [RAISES_TAG]
        return cell, resources


class KeepMarks(SaveCells):
    """SaveCells that accepts added and removed cells where there are submissions: the marks of all other cells stay."""

    def _create_notebook(self, nb: NotebookNode) -> None:
        try:
            notebook = self.gradebook.find_notebook(self.notebook_id, self.assignment_id)
        except MissingEntry:
            notebook = None
        if notebook is not None and notebook.submissions:
            self._remove_cells(notebook)
            self._add_cells(notebook)
            self.gradebook.db.commit()
        super()._create_notebook(nb)

    def _remove_cells(self, notebook: Any) -> None:
        db = self.gradebook.db
        for cells, kept in self._kinds(notebook):
            for cell in cells:
                if cell.name not in kept:
                    for given in [*(getattr(cell, "grades", None) or []), *(getattr(cell, "comments", None) or [])]:
                        db.delete(given)
                    db.flush()
                    db.delete(cell)
        db.commit()
        db.expire_all()

    def _add_cells(self, notebook: Any) -> None:
        book, place = self.gradebook, (self.notebook_id, self.assignment_id)
        (grades, _), (solutions, _), _, (sources, _) = self._kinds(notebook)
        names = [{cell.name for cell in cells} for cells in (grades, solutions, sources)]
        for name in self.new_grade_cells.keys() - names[0]:
            cell = book.add_grade_cell(name, *place, **self.new_grade_cells[name])
            book.db.add_all(Grade(cell_id=cell.id, notebook=submission) for submission in notebook.submissions)
        for name in self.new_solution_cells.keys() - names[1]:
            cell = book.add_solution_cell(name, *place, **self.new_solution_cells[name])
            book.db.add_all(Comment(cell_id=cell.id, notebook=submission) for submission in notebook.submissions)
        for name in self.new_source_cells.keys() - names[2]:
            book.add_source_cell(name, *place, **self.new_source_cells[name])

    def _kinds(self, notebook: Any) -> tuple[tuple[list[Any], dict[str, Any]], ...]:
        return (
            (list(notebook.grade_cells), self.new_grade_cells),
            (list(notebook.solution_cells), self.new_solution_cells),
            (list(notebook.task_cells), self.new_task_cells),
            (list(notebook.source_cells), self.new_source_cells),
        )


class Rebuild(NbGraderPreprocessor):
    """Replaces the submission by the notebook that `grader.template` rebuilds from `solutions/` and it."""

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        """Return the rebuilt notebook; nbgrader's working directory is the course."""
        template = load(Chapter(resources["nbgrader"]["assignment"], Path.cwd()).instructor)
        rebuilt = rebuild(template, nb).notebook
        mark_answers(rebuilt, template)
        return rebuilt, resources


def mark_answers(rebuilt: NotebookNode, template: NotebookNode) -> None:
    """Give every answer cell the checksum of its stub, by which nbgrader knows an answer that was left out."""
    stubs = {grade_id(cell): blank(cell) for cell in template.cells if utils.is_solution(cell)}
    for cell in rebuilt.cells:
        if utils.is_solution(cell):
            stub = NotebookNode({**cell, "source": stubs[grade_id(cell)]})
            cell.metadata.nbgrader["checksum"] = utils.compute_checksum(stub)


class RunSubmission(Execute):
    """Execute with a time limit by kind of cell, an environment of its own, and an end that keeps what was reached."""

    check_timeout = Integer(10, help="Seconds that a check may take; all other cells have `timeout`.").tag(config=True)

    @default("timeout_func")
    def _timeout_by_cell(self) -> Callable[[NotebookNode], int]:
        return lambda cell: int(self.check_timeout if utils.is_grade(cell) else self.timeout)

    def start_new_kernel(self, **kwargs: Any) -> None:
        """Start the kernel in a folder that holds the course's files for this chapter and none of the student's."""
        course = Course(Path.cwd())
        chapter = Chapter(self.resources["nbgrader"]["assignment"], course.root)
        for place, path in chapter.attachments.items():
            Path(self._folder, place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, Path(self._folder, place))
        environment = {**os.environ, **ONE_THREAD, "MPLBACKEND": "Agg", "COURSE_DATA": str(course.data)}
        super().start_new_kernel(**{**kwargs, "cwd": self._folder, "env": environment})

    def preprocess(self, nb: NotebookNode, resources: Resources, km: Any = None) -> tuple[NotebookNode, Resources]:
        """Return the notebook run as far as it went; only a cell that came to its end has an execution count."""
        self._finished: set[int] = set()
        self._running = 0
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as self._folder:
            try:
                super().preprocess(nb, resources, km)
            except DeadKernelError:
                nb.metadata[ENDED] = f"the kernel died in {self._place(nb)}"
            except CellTimeoutError:
                nb.metadata[ENDED] = f"{self._place(nb)} ran too long and could not be interrupted"
        for index, cell in enumerate(nb.cells):
            if cell.cell_type == "code" and index not in self._finished:
                cell.execution_count = None
        return nb, resources

    def on_cell_execute(self, **kwargs: Any) -> None:
        """Note which cell runs."""
        self._running = kwargs["cell_index"]

    def on_cell_executed(self, **kwargs: Any) -> None:
        """Note that the cell came to its end."""
        super().on_cell_executed(**kwargs)
        self._finished.add(kwargs["cell_index"])

    def _place(self, nb: NotebookNode) -> str:
        return f"cell '{grade_id(nb.cells[self._running]) or nb.cells[self._running].id}'"


class RequireExecution(NbGraderPreprocessor):
    """Makes a check that did not run to its end a failed one, and a check's value no mark.

    To nbgrader no output means all points, and a number as the value of the last line means that many.
    """

    def preprocess_cell(self, cell: NotebookNode, resources: Resources, cell_index: int) -> tuple[NotebookNode, Resources]:  # noqa: ARG002  (nbgrader calls it so)
        """Return the cell, with an error where it is a check that did not run."""
        if cell.cell_type == "code" and utils.is_grade(cell):
            cell.outputs = [output for output in cell.outputs if output.output_type != "execute_result"]
            if cell.execution_count is None and not any(output.output_type == "error" for output in cell.outputs):
                cell.outputs.append(error_output("NotRun", "the check did not run: the notebook ended before it was done"))
        return cell, resources


class HideTests(NbGraderPreprocessor):
    """Cuts hidden tests out of the feedback, and everything of the student's that a browser would not just show.

    A check keeps its points, and passed or the message of its failure. Of outputs, text and pictures stay.
    """

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        """Return the notebook as a student may see it."""
        secrets = hidden_lines(nb)
        for cell in nb.cells:
            if cell.cell_type == "code":
                cell.outputs = [kept for output in cell.outputs if (kept := _harmless(output, secrets))]
                if utils.is_grade(cell):
                    cell.outputs = _verdict(cell)
                if not isinstance(cell.execution_count, int):
                    cell.execution_count = None
            elif utils.is_solution(cell):
                cell.source = f"<pre>\n{html.escape(cell.source)}\n</pre>"
            cell.source = without_hidden_tests(cell.source)
            cell.metadata = NotebookNode({key: value for key, value in cell.metadata.items() if key == "nbgrader"})
        nb.metadata = NotebookNode(kernelspec=NotebookNode(KERNELSPEC), language_info=NotebookNode(name="python"))
        return nb, resources


def _verdict(cell: NotebookNode) -> list[NotebookNode]:
    """Return a check's outputs without the lines of its traceback; of a hidden one the printed text goes too."""
    errors = [error_output(output.ename, output.evalue) for output in cell.outputs if output.output_type == "error"]
    if "BEGIN HIDDEN TESTS" in cell.source:
        return errors[-1:] or [new_output("stream", name="stdout", text="passed")]
    return [output for output in cell.outputs if output.output_type != "error"] + errors[-1:]


def _harmless(output: NotebookNode, secrets: set[str]) -> NotebookNode | None:
    """Return the output with nothing but text and pictures in it, or None where nothing is left."""
    made: NotebookNode
    if output.output_type == "stream":
        made = new_output("stream", name="stdout", text=_cut(output.text, secrets))
    elif output.output_type == "error":
        lines = [_cut(line, secrets) for line in output.traceback]
        made = new_output("error", ename=_cut(output.ename, secrets), evalue=_cut(output.evalue, secrets), traceback=lines)
    else:
        data = {kind: output.data[kind] for kind in ("image/png", "image/jpeg") if _is_base64(output.data.get(kind))}
        if not data and output.data.get("text/plain"):
            data = {"text/plain": _cut(output.data["text/plain"], secrets)}
        made = new_output("display_data", data=data)
        return made if data else None
    return made


def _is_base64(data: Any) -> bool:
    try:
        return isinstance(data, str) and bool(base64.b64decode("".join(data.split()), validate=True))
    except binascii.Error:
        return False


def _cut(text: Any, secrets: set[str]) -> str:
    """Return the text without lines of hidden tests, however they came into it."""
    shown = ANSI.sub("", str(text))
    for line in sorted(secrets, key=len, reverse=True):
        shown = shown.replace(line, "…") if len(line) > 8 else shown
    return shown


def error_output(name: str, message: str) -> NotebookNode:
    """Return an error as a cell's output."""
    name, message = visible(name), visible(message)
    made: NotebookNode = new_output("error", ename=name, evalue=message, traceback=[f"{name}: {message}"])
    return made
