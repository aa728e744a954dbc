"""Builds the instructor and the student notebook of a chapter from its lesson source."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

from grader import ledger
from grader.course import Chapter, Course
from grader.errors import GraderError
from grader.execute import execute
from grader.files import write_if_changed
from grader.fingerprints import Fingerprints
from grader.lesson import read
from grader.notebook import dumps, instructor_notebook, load
from grader.rules import require_sound


@dataclass(frozen=True)
class Built:
    """What `build` did to a chapter: whether its cells ran, and which files it wrote."""

    chapter: Chapter
    executed: bool = False
    written: tuple[Path, ...] = ()
    error: GraderError | None = None


def build(course: Course, chapters: list[Chapter], *, force: bool = False, figures: Path | None = None, jobs: int = 2) -> Iterator[Built]:
    """Yield, chapter by chapter, what was built; a chapter that cannot be built yields its error and stops no other.

    A notebook is executed only where its code changed (or with `force`), and a file is written only where its bytes change.
    """
    fingerprints = Fingerprints(course)
    known = set() if force else {chapter for chapter in chapters if fingerprints.hold(chapter.name, chapter.files)}

    def instructor(chapter: Chapter) -> Built:
        return Built(chapter) if chapter in known else _instructor(chapter, force=force, figures=figures)

    with ThreadPoolExecutor(max_workers=jobs) as pool:
        for built in pool.map(instructor, chapters):
            if built.chapter not in known:
                built = _with_student(course, built)
                if built.error is None:
                    fingerprints.keep(built.chapter.name, built.chapter.files)
            yield built


def _instructor(chapter: Chapter, *, force: bool, figures: Path | None) -> Built:
    try:
        lesson = read(chapter.source)
        require_sound(lesson)
        notebook = instructor_notebook(lesson)
        executed = force or not _keep_outputs(notebook, chapter.instructor)
        if executed:
            notebook = execute(notebook, chapter.instructor, figures / chapter.name if figures else None)
        written = write_if_changed(chapter.instructor, dumps(notebook).encode())
        return Built(chapter, executed, (chapter.instructor,) if written else ())
    except GraderError as error:
        return Built(chapter, error=error)


def _with_student(course: Course, built: Built) -> Built:
    if built.error:
        return built
    try:
        with tempfile.TemporaryDirectory() as folder:
            (fresh,) = ledger.release(course, [built.chapter], Path(folder))
            written = write_if_changed(built.chapter.student, fresh.read_bytes())
    except GraderError as error:
        return Built(built.chapter, error=error)
    return Built(built.chapter, built.executed, built.written + ((built.chapter.student,) if written else ()))


def _keep_outputs(notebook: NotebookNode, committed: Path) -> bool:
    """Copy the outputs of the committed notebook into `notebook` where all code is the same; say whether that was so."""
    if not committed.is_file():
        return False
    try:
        before = [cell for cell in load(committed).cells if cell.cell_type == "code"]
    except Exception:  # a committed notebook that cannot be read is built anew, whatever is wrong with it
        return False
    now = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [_code(cell) for cell in before] != [_code(cell) for cell in now] or any(cell.execution_count is None for cell in before):
        return False
    for new, old in zip(now, before, strict=True):
        new.outputs, new.execution_count = old.outputs, old.execution_count
    return True


def _code(cell: NotebookNode) -> tuple[str, list[str]]:
    return cell.source, cell.metadata.get("tags", [])
