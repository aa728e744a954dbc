"""Takes submissions through nbgrader one by one, each in a process of its own, so that none can stop the others."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from glob import escape
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from nbgrader.converters import Autograde
from nbgrader.utils import parse_utc

from grader.course import Chapter, Course
from grader.environment import limit_memory, silence
from grader.errors import LedgerError
from grader.ledger.converters import convert, course_config, put_environment_on_path
from grader.ledger.gradebook import autograded, give_nothing, prepare, template_of
from grader.ledger.preprocessors import ENDED
from grader.ledger.results import Problem
from grader.notebook import dumps, load
from grader.template import Note, grade_id, read_submission, rebuild

TIMESTAMP = "timestamp.txt"


@dataclass(frozen=True)
class Limits:
    """Seconds; where `check` or `cell` is not given, `nbgrader_config.py` says them."""

    check: int | None = None  # a check or hidden test
    cell: int | None = None  # any other cell
    submission: float = 900.0  # everything


def grade(course: Course, chapters: list[Chapter], limits: Limits | None = None) -> Iterator[tuple[Chapter, str, list[Problem]]]:
    """Grade every submission of `chapters`, also those graded before, and yield chapter, student and what was found.

    The gradebook is up to date with `solutions/` before the first, and after each submission its marks are in it.
    Raises LedgerError where the gradebook cannot be used or there is nothing to grade; nothing that a submission holds raises.
    """
    if chapters and not any(submissions(course, chapter) for chapter in chapters):
        raise LedgerError(
            f"{_submitted(course)}: no submissions\n    remedy: put each at <student>/<chapter>/<chapter>.ipynb in this folder"
        )
    prepare(course, chapters)
    for chapter in chapters:
        template = template_of(chapter)
        for student in submissions(course, chapter):
            yield chapter, student, _grade_one(course, chapter, student, template, limits or Limits())


def submissions(course: Course, chapter: Chapter) -> list[str]:
    """Return the students who have a folder for `chapter`, by name."""
    return sorted(folder.parent.name for folder in _submitted(course).glob(f"*/{escape(chapter.name)}") if folder.is_dir())


def strays(course: Course) -> list[Problem]:
    """Return a problem for everything in the folder of submissions that no chapter asks for."""
    known = {chapter.name for chapter in course.chapters()}
    found = [path for path in sorted(_submitted(course).glob("*/*")) if path.name not in known and not path.name.startswith(".")]
    remedy = f"if it is a submission, put it at {Path('<student>', '<chapter>', '<chapter>.ipynb')}"
    return [Problem(path.parent.name, "", path, f"no chapter is called '{path.name}'", remedy) for path in found]


def submitted(course: Course, chapter: Chapter, student: str) -> Path:
    """Return the place of a submission."""
    return _submitted(course) / student / chapter.name / f"{chapter.name}.ipynb"


def _submitted(course: Course) -> Path:
    return course.gradebook / "submitted"


def _grade_one(course: Course, chapter: Chapter, student: str, template: NotebookNode, limits: Limits) -> list[Problem]:
    path = submitted(course, chapter, student)

    def problem(note: Note, *, ungraded: bool = False) -> Problem:
        return Problem(student, chapter.name, path, note.found, note.remedy, ungraded)

    if escape(student) != student or student.strip() != student:
        found = Note("nbgrader cannot look for a name with *, ?, [ or ], or with spaces around it", "rename the student's folder")
        return [problem(found, ungraded=True)]
    try:
        submission = read_submission(path, template)
        if isinstance(submission, Note):
            give_nothing(course, chapter, student)
            return [problem(submission)]
        notes = list(rebuild(template, submission).notes)
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
            notes += _stage(path, submission, Path(scratch) / "submitted" / student / chapter.name)
            ended = _in_own_process(course, chapter, student, Path(scratch), limits)
    except OSError as error:
        return [problem(Note(f"it could not be graded: {error}", "mend this and grade again; its marks are as they were"), ungraded=True)]
    if ended.killed:
        give_nothing(course, chapter, student)
        return [problem(note) for note in (*notes, Note(ended.killed, "look at what its code does to the system; it earns nothing"))]
    if ended.refused:
        found = Note(f"it could not be graded: {ended.refused}", "mend this and grade again; its marks are as they were")
        return [problem(found, ungraded=True)]
    return [problem(note) for note in (*notes, *_run_notes(autograded(course, chapter, student)))]


def _stage(path: Path, submission: NotebookNode, folder: Path) -> Iterator[Note]:
    """Write what is graded of the submission to `folder`: its cells and when it was handed in, none of its other files."""
    folder.mkdir(parents=True)
    (folder / path.name).write_text(dumps(submission), encoding="utf-8")
    stamp = path.with_name(TIMESTAMP)
    if stamp.is_file() and not stamp.is_symlink():
        text = stamp.read_bytes()[:100].decode(errors="replace").strip()
        try:
            parse_utc(text)
        except (ValueError, OverflowError):
            yield Note(f"{TIMESTAMP} holds no time: {text!r}", "write one such as 2026-09-01 12:00:00 UTC; it was graded as in time")
        else:
            (folder / TIMESTAMP).write_text(text, encoding="utf-8")


def _run_notes(path: Path) -> Iterator[Note]:
    """Yield what kept the checks of a graded copy from running to their end."""
    graded = load(path)
    if ENDED in graded.metadata:
        yield Note(graded.metadata[ENDED], "what was reached before counts; look for exit(), a crash, or too much memory")
    stopped = [
        grade_id(cell) or cell.id
        for cell in graded.cells
        if any(output.output_type == "error" and output.ename == "CellTimeoutError" for output in cell.get("outputs", []))
    ]
    if stopped:
        yield Note(f"stopped at the time limit: {', '.join(stopped)}", "look for an endless loop; the other cells were graded")


@dataclass(frozen=True)
class _Ended:
    """How nbgrader's run of a submission ended: `killed` says by what, `refused` why nbgrader gave up; neither where it is graded."""

    killed: str = ""
    refused: str = ""


def _in_own_process(course: Course, chapter: Chapter, student: str, scratch: Path, limits: Limits) -> _Ended:
    put_environment_on_path()
    context = _context()
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_autograde, args=(course.root, course.data, chapter.name, student, scratch, limits, sender))
    child.start()
    sender.close()
    try:
        if not receiver.poll(limits.submission):
            return _Ended(killed=f"it took longer than {limits.submission:g} s and was stopped")
        refused: str = json.loads(receiver.recv_bytes())
        child.join(10)
        return _Ended(refused=refused)
    except EOFError:
        child.join(10)
        return _Ended(killed=f"it ended the process that graded it (exit code {child.exitcode})")
    finally:
        receiver.close()
        _end(child)


def _context() -> Any:
    """Return the way to start processes: forked from a server that has nbgrader imported (1.5 s) where the system can."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", __name__])
    return context


def _end(child: BaseProcess) -> None:
    if child.is_alive() and child.pid:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL) if hasattr(os, "killpg") else child.kill()
    child.join(10)


def _autograde(root: Path, data: Path, chapter: str, student: str, scratch: Path, limits: Limits, pipe: Connection) -> None:
    """Convert one submission; runs in a process of its own, which is the parent of the kernel."""
    if hasattr(os, "setsid"):
        os.setsid()
    silence()
    limit_memory()
    os.environ["COURSE_DATA"] = str(data)
    course = Course(root)
    config = course_config(course)
    config.CourseDirectory.submitted_directory = str(scratch / "submitted")
    config.CourseDirectory.assignment_id = chapter
    config.CourseDirectory.notebook_id = chapter
    config.CourseDirectory.student_id = student
    config.Autograde.force = True
    if limits.check is not None:
        config.RunSubmission.check_timeout = limits.check
    if limits.cell is not None:
        config.Execute.timeout = limits.cell
    if os.name == "posix":  # sockets in a folder instead of ports that others could take or reach
        config.KernelManager.transport = "ipc"
        config.KernelManager.connection_file = str(scratch / "kernel.json")
    refused = convert(Autograde, config)
    pipe.send_bytes(json.dumps(refused).encode())
    pipe.close()
