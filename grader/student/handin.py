"""Writes the file that a student hands in: a copy of the notebook, byte for byte, after looking at it; and a receipt."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

from grader.course import Chapter, Course
from grader.errors import GraderError
from grader.files import write_if_changed
from grader.notebook import COURSE_KEY
from grader.student.cells import answers, read
from grader.student.progress import Standing, standings
from grader.template import MAX_BYTES

FOLDER = "hand-in"  # of the course


class HandInError(GraderError):
    """What lies there cannot be handed in; nothing was written."""


@dataclass(frozen=True)
class HandIn:
    """What was written, its SHA-256, and how its exercises stand."""

    file: Path
    receipt: Path
    digest: str
    standings: tuple[Standing, ...]


def hand_in(course: Course, chapter: Chapter) -> HandIn:
    """Write the notebook of `chapter`, as it is saved, and a receipt into the folder `hand-in`.

    Raises NotebookError where it is not a notebook, HandInError where it is another chapter's, too large, or lacks an answer cell.
    """
    path = chapter.student
    notebook = read(path)
    content = path.read_bytes()
    if len(content) > MAX_BYTES:
        remedy = "in JupyterLab: Edit, Clear Outputs of All Cells, save; then run this again"
        raise HandInError(f"{path}: more than {MAX_BYTES // 2**20} MiB, which nobody grades\n    remedy: {remedy}")
    about = notebook.metadata.get(COURSE_KEY, {})
    if about.get("chapter") != chapter.name:
        which = f"this is the notebook of {about['chapter']}" if about.get("chapter") else "it does not say of which chapter it is"
        raise HandInError(f"{path}: {which}\n    remedy: work in the notebook of {chapter.name}; `make update` brings its newest edition")
    missing = [name for name in about.get("answers", []) if name not in answers(notebook)]
    if missing:
        remedy = "in JupyterLab, undo the deletion, or copy the cell from a fresh copy of the notebook"
        raise HandInError(f"{path}: answer cells are missing: {', '.join(missing)}\n    remedy: {remedy}")
    found = tuple(standings(notebook, chapter, course.data))
    digest = hashlib.sha256(content).hexdigest()
    file = course.root / FOLDER / path.name
    receipt = file.with_suffix(".receipt.txt")
    write_if_changed(file, content)
    write_if_changed(receipt, _receipt(chapter, about.get("edition", "unknown"), digest, len(content), found).encode())
    return HandIn(file, receipt, digest, found)


def _receipt(chapter: Chapter, edition: str, digest: str, size: int, found: tuple[Standing, ...]) -> str:
    lines = [f"{chapter.name}, edition {edition}", f"{time.strftime('%Y-%m-%d %H:%M:%S %z')}", f"SHA-256 {digest}", f"{size} bytes", ""]
    return "\n".join([*lines, *(f"{standing.state:10} {standing.exercise}" for standing in found), ""])
