"""The instructor notebook of a lesson: cells, ids and nbgrader metadata, not yet executed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, writes

from grader.lesson import DROPPED_ROLES, SECTION_KEY, TEST_ROLES, Cell, Lesson, Role

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
PYTHON = {"kernelspec": KERNELSPEC, "language_info": {"name": "python"}}  # metadata of every notebook
COURSE_KEY = "course"  # in a notebook's metadata: its chapter, its edition, and the names of its answer cells
EXPLANATION_TAG = "explanation"
SCHEMA_VERSION = 3
HIDDEN_TESTS = "# Hidden tests"  # how what a student sees of one begins
_SECTION = re.compile(r"^## (?P<title>.+?)\s*$", re.MULTILINE)


def instructor_notebook(lesson: Lesson) -> NotebookNode:
    """Return the lesson as nbgrader's source notebook, without outputs; the same lesson always gives the same notebook."""
    cells, section = [], ""
    for cell in lesson.cells:
        if cell.kind == "markdown" and (heading := _SECTION.search(cell.source)):
            section = heading["title"]
        if cell.role not in DROPPED_ROLES:
            cells.append(_instructor_cell(cell, section))
    _set_ids(cells)
    answers = [cell.id for cell in lesson.cells if cell.role in (Role.EXERCISE, Role.ANSWER)]
    about = {"chapter": lesson.name, "edition": _edition(lesson), "answers": answers}
    notebook: NotebookNode = new_notebook(cells=cells, metadata={**PYTHON, COURSE_KEY: about})
    nbformat.validate(notebook)
    return notebook


def _edition(lesson: Lesson) -> str:
    """Return a digest of what students are given of a lesson; a mended hidden test makes no new edition."""
    given = [cell for cell in lesson.cells if cell.role not in DROPPED_ROLES and cell.role is not Role.EXPLANATION]
    sources = [(cell.kind, cell.id, cell.points, "" if cell.role is Role.HIDDEN else cell.public_source) for cell in given]
    return content_id(repr(sources))


def _instructor_cell(cell: Cell, section: str) -> NotebookNode:
    make: Callable[..., NotebookNode] = new_markdown_cell if cell.kind == "markdown" else new_code_cell
    source = _hide(cell) if cell.role is Role.HIDDEN else cell.source
    metadata = {key: value for key, value in cell.keys.items() if key == "tags"}
    if cell.role is Role.EXPLANATION:
        metadata["tags"] = [EXPLANATION_TAG]
    elif cell.role is not Role.LESSON:
        metadata["nbgrader"] = _nbgrader(cell)
    if cell.role in TEST_ROLES and section:
        metadata[SECTION_KEY] = section
    made: NotebookNode = make(source, metadata=metadata)
    return made


def _nbgrader(cell: Cell) -> dict[str, object]:
    solution = cell.role in (Role.EXERCISE, Role.ANSWER)
    graded = cell.role in TEST_ROLES or cell.role is Role.ANSWER
    entry: dict[str, object] = {
        "grade": graded,
        "grade_id": cell.id,
        "locked": not solution,
        "schema_version": SCHEMA_VERSION,
        "solution": solution,
        "task": False,
    }
    return entry | ({"points": cell.points} if graded else {})


def _hide(cell: Cell) -> str:
    points = f"{cell.points:g} point{'s' if cell.points != 1 else ''}"
    return f"{HIDDEN_TESTS} ({points}) run here when you submit.\n### BEGIN HIDDEN TESTS\n{cell.source}\n### END HIDDEN TESTS"


def _set_ids(cells: list[NotebookNode]) -> None:
    """Give every cell an id that depends on its content alone, so that an edit changes one cell of the file."""
    taken: set[str] = set()
    for cell in cells:
        wanted = cell.metadata.get("nbgrader", {}).get("grade_id") or content_id(cell.source)
        identity, copies = wanted[:60], 1
        while identity in taken:
            copies += 1
            identity = f"{wanted[:57]}-{copies}"
        taken.add(identity)
        cell.id = identity


def content_id(source: str) -> str:
    """Return the id of a cell that has no name of its own."""
    return hashlib.sha256(source.encode()).hexdigest()[:12]


def dumps(notebook: NotebookNode) -> str:
    """Return the bytes that are committed: sorted keys, one newline at the end."""
    return str(writes(notebook)).rstrip("\n") + "\n"


def load(path: Path) -> NotebookNode:
    """Read a notebook of format 4; raises what nbformat raises."""
    notebook: NotebookNode = nbformat.read(path, as_version=4)
    return notebook


def without_outputs(notebook: NotebookNode) -> NotebookNode:
    """Return a copy as it was before it was executed."""
    bare: NotebookNode = nbformat.from_dict(notebook)
    for cell in bare.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return bare
