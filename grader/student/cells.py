"""What a student's notebook holds: the answers, the checks, and what was changed or added to what was released."""

from __future__ import annotations

import json
import re
from enum import Enum
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.utils import compute_checksum

from grader import names
from grader.errors import GraderError
from grader.notebook import HIDDEN_TESTS, content_id
from grader.template import broken, exercises, grade_id, is_a

_CONTENT_ID = re.compile(r"(?P<content>[0-9a-f]{12})(-\d+)?")  # JupyterLab's own ids have another form
_HEADING = re.compile(r"^### (?P<title>.+?)\s*$", re.MULTILINE)


class NotebookError(GraderError):
    """What lies in a notebook's place is none; nothing was written."""


class Kind(Enum):
    """What a cell of a student's notebook is."""

    ANSWER = "answer"
    LOCKED = "locked"  # setup or check
    RELEASED = "released"  # text or demonstration, as it was given out
    EDITED = "edited"  # text or demonstration, changed by the student
    ADDED = "added"  # by the student


def read(path: Path) -> NotebookNode:
    """Read a student's notebook; NotebookError with the remedy where there is none."""
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise NotebookError(
            f"{path}: missing\n    remedy: `make update` brings it back; or unpack the course again beside this one"
        ) from None
    except OSError as error:
        raise NotebookError(f"{path}: cannot be read: {error.strerror}\n    remedy: make it readable") from error
    except (ValueError, RecursionError) as error:
        data, found = None, f"not a notebook: {str(error)[:100]}"
    else:
        found = broken(data)
    if found:
        remedy = "save it in JupyterLab again; an older copy may be in .ipynb_checkpoints beside it"
        raise NotebookError(f"{path}: {found}\n    remedy: {remedy}")
    notebook: NotebookNode = nbformat.reads(json.dumps(data), as_version=4)
    return notebook


def kind_of(cell: NotebookNode) -> Kind:
    """Return what a cell is; released cells are known by ids that are made from their content."""
    if is_a(cell, "solution"):
        return Kind.ANSWER
    if grade_id(cell):
        return Kind.LOCKED
    match = _CONTENT_ID.fullmatch(cell.get("id", ""))
    if not match:
        return Kind.ADDED
    return Kind.RELEASED if match["content"] == content_id(cell.source) else Kind.EDITED


def is_as_released(cell: NotebookNode) -> bool:
    """Tell whether an answer or a locked cell is what was given out: nbgrader's checksum was made then."""
    return bool(cell.metadata.nbgrader.get("checksum") == compute_checksum(cell))


def answers(notebook: NotebookNode) -> dict[str, NotebookNode]:
    """Return the answer cells by grade_id; of several of one name the last, which is the one that is graded."""
    return {grade_id(cell): cell for cell in notebook.cells if kind_of(cell) is Kind.ANSWER}


def visible_checks(notebook: NotebookNode) -> dict[str, list[NotebookNode]]:
    """Return the checks that a student can run, by exercise."""
    found: dict[str, list[NotebookNode]] = {name: [] for name in answers(notebook)}
    owners = exercises(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code" and is_a(cell, "grade") and not cell.source.startswith(HIDDEN_TESTS):
            found.setdefault(owners[grade_id(cell)], []).append(cell)
    return found


def titles(notebook: NotebookNode) -> dict[str, str]:
    """Return the heading above each answer."""
    found, title = {}, ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            title = next((match["title"] for match in reversed(list(_HEADING.finditer(cell.source)))), title)
        if kind_of(cell) is Kind.ANSWER:
            found[grade_id(cell)] = title
    return found


def needed(notebook: NotebookNode) -> list[NotebookNode]:
    """Return the code cells that decide on the visible checks, in order: setup, answers, checks, and others whose names these read."""
    kept: dict[int, NotebookNode] = {}
    wanted: set[str] = set()
    for position in reversed(range(len(notebook.cells))):
        cell = notebook.cells[position]
        if cell.cell_type != "code" or cell.source.startswith(HIDDEN_TESTS):
            continue
        bound, read = names.bound_and_read(cell.source)
        if kind_of(cell) in (Kind.ANSWER, Kind.LOCKED) or bound & wanted:
            kept[position] = cell
            wanted |= read
    return [kept[position] for position in sorted(kept)]
