"""Takes one submission through stock nbgrader, in a process of its own, so that none can stop the others."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from jupyter_client.provisioning.factory import KernelProvisionerFactory
from nbformat import NotebookNode
from nbgrader.converters import Autograde

from grader.course import Chapter, Course
from grader.engine.plan import Seconds
from grader.engine.provisioner import NAME
from grader.environment import limit_memory, silence, use_sockets
from grader.ledger.converters import convert, course_config
from grader.ledger.gradebook import autograded, give_nothing
from grader.ledger.preprocessors import ENDED
from grader.ledger.results import Problem
from grader.ledger.submissions import TIMESTAMP, HandedIn
from grader.notebook import dumps, load
from grader.template import Note, grade_id, rebuild


def grade_one(course: Course, handed_in: HandedIn, template: NotebookNode, seconds: Seconds, *, sandboxed: bool) -> list[Problem]:
    """Grade a submission and write its marks; return what was found. Its kernel runs in a sandbox, or with our rights."""
    chapter, student, problem = handed_in.chapter, handed_in.student, handed_in.problem
    if isinstance(handed_in.cells, Note):
        give_nothing(course, chapter, student)
        return [problem(handed_in.cells)]
    notes = [*rebuild(template, handed_in.cells).notes, *handed_in.notes]
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
            _stage(handed_in, handed_in.cells, Path(scratch) / "submitted" / student / chapter.name)
            ended = _in_own_process(course, chapter, student, Path(scratch), seconds, sandboxed)
    except OSError as error:
        return [problem(Note(f"it could not be graded: {error}", "mend this and grade again; its marks are as they were"), ungraded=True)]
    if ended.killed:
        give_nothing(course, chapter, student)
        return [problem(note) for note in (*notes, Note(ended.killed, "look at what its code does to the system; it earns nothing"))]
    if ended.refused:
        found = Note(f"it could not be graded: {ended.refused}", "mend this and grade again; its marks are as they were")
        return [problem(found, ungraded=True)]
    return [problem(note) for note in (*notes, *_run_notes(autograded(course, chapter, student)))]


def _stage(handed_in: HandedIn, cells: NotebookNode, folder: Path) -> None:
    """Write what is graded of the submission to `folder`: its cells and when it was handed in, none of its other files."""
    folder.mkdir(parents=True)
    (folder / handed_in.path.name).write_text(dumps(cells), encoding="utf-8")
    if handed_in.time:
        (folder / TIMESTAMP).write_text(handed_in.time, encoding="utf-8")


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


def _in_own_process(course: Course, chapter: Chapter, student: str, scratch: Path, seconds: Seconds, sandboxed: bool) -> _Ended:
    context = _context()
    receiver, sender = context.Pipe(duplex=False)
    task = (course.root, course.data, chapter.name, student, scratch, seconds, sandboxed, sender)
    child = context.Process(target=_autograde, args=task)
    child.start()
    sender.close()
    try:
        if not receiver.poll(seconds.submission):
            return _Ended(killed=f"it took longer than {seconds.submission:g} s and was stopped")
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


def _autograde(
    root: Path, data: Path, chapter: str, student: str, scratch: Path, seconds: Seconds, sandboxed: bool, pipe: Connection
) -> None:
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
    config.RunSubmission.check_timeout = math.ceil(seconds.check)
    config.Execute.timeout = math.ceil(seconds.cell)
    if sandboxed:
        KernelProvisionerFactory.instance().default_provisioner_name = NAME
    else:
        use_sockets(config, scratch)
    refused = convert(Autograde, config)
    pipe.send_bytes(json.dumps(refused).encode())
    pipe.close()
