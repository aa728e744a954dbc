"""How far a student is: each exercise untouched, failing or passing its visible checks, found by running them.

Only what changed since the last time is run, in a kernel of its own; the results are kept in `.grader/progress.json`.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_notebook
from traitlets.config import Config

from grader.course import Chapter, Course
from grader.environment import ONE_THREAD, use_sockets
from grader.errors import GraderError
from grader.files import write_if_changed
from grader.lesson import SECTION_KEY
from grader.notebook import KERNELSPEC
from grader.student.cells import Kind, NotebookError, answers, is_as_released, kind_of, needed, read, titles, visible_checks
from grader.template import grade_id

CELL_SECONDS = 30
KEPT = Path(".grader", "progress.json")


class State(StrEnum):
    """How an exercise stands."""

    UNTOUCHED = "untouched"
    FAILING = "failing"
    PASSING = "passing"
    WRITTEN = "written"  # it has no visible check: a person reads it


@dataclass(frozen=True)
class Standing:
    """One exercise: its name, the heading above it, how it stands; of the first check that fails, what it says and where to read again."""

    exercise: str
    title: str
    state: State
    message: str = ""
    section: str = ""


@dataclass(frozen=True)
class Progress:
    """One chapter."""

    chapter: str
    title: str  # with its number
    standings: tuple[Standing, ...]
    problem: str = ""  # why it could not be looked at

    def count(self, *states: State) -> int:
        """Return how many exercises are in one of these states."""
        return sum(standing.state in states for standing in self.standings)


def progress(course: Course, chapters: list[Chapter]) -> Iterator[Progress]:
    """Yield how each chapter stands. A notebook that cannot be read is a problem of that chapter."""
    kept = _Kept(course.root / KEPT)
    for chapter in chapters:
        try:
            notebook = read(chapter.student)
        except NotebookError as error:
            yield Progress(chapter.name, chapter.name, (), str(error))
            continue
        yield Progress(chapter.name, _title(notebook, chapter), tuple(standings(notebook, chapter, course.data, kept)))


def standings(notebook: NotebookNode, chapter: Chapter, data: Path, kept: _Kept | None = None) -> Iterator[Standing]:
    """Yield how each exercise of a notebook stands, in their order."""
    checks, heads = visible_checks(notebook), titles(notebook)
    touched = {name for name, cell in answers(notebook).items() if not is_as_released(cell)}
    wanted = {grade_id(check) for name in touched for check in checks[name]}
    messages = _run(notebook, wanted, chapter, data, kept) if wanted else {}
    for name in answers(notebook):
        failed = [
            (messages[grade_id(check)], check.metadata.get(SECTION_KEY, "")) for check in checks[name] if messages.get(grade_id(check))
        ]
        if name not in touched:
            yield Standing(name, heads[name], State.UNTOUCHED)
        elif failed:
            yield Standing(name, heads[name], State.FAILING, *failed[0])
        else:
            yield Standing(name, heads[name], State.PASSING if checks[name] else State.WRITTEN)


def _run(notebook: NotebookNode, wanted: set[str], chapter: Chapter, data: Path, kept: _Kept | None) -> dict[str, str]:
    """Run the checks in `wanted` with all that they need; return what each failed with, nothing where it passed."""
    cells = [cell for cell in needed(notebook) if not cell.metadata.get("nbgrader", {}).get("grade") or grade_id(cell) in wanted]
    digest = hashlib.sha256(json.dumps([(grade_id(cell), cell.source) for cell in cells]).encode()).hexdigest()
    if kept and (found := kept.get(chapter.name, digest)) is not None:
        return found
    run: NotebookNode = new_notebook(cells=[_bare(cell) for cell in cells], metadata={"kernelspec": KERNELSPEC})
    with tempfile.TemporaryDirectory() as runtime:
        config = Config()
        use_sockets(config, Path(runtime))
        client = NotebookClient(
            run,
            timeout=CELL_SECONDS,
            interrupt_on_timeout=True,
            allow_errors=True,
            resources={"metadata": {"path": str(chapter.student.parent)}},
            extra_arguments=["--InteractiveShell.xmode=Minimal"],
            config=config,
        )
        try:
            client.execute(env={**os.environ, **ONE_THREAD, "COURSE_DATA": str(data), "MPLBACKEND": "Agg"})
        except DeadKernelError:
            pass  # what came after has no outputs, and so did not pass
        except RuntimeError as error:
            raise GraderError(f"{chapter.student}: no kernel starts: {error}\n    remedy: run `make setup`") from error
    broken = next((cell for cell in run.cells if kind_of(cell) is Kind.LOCKED and grade_id(cell) not in wanted and _message(cell)), None)
    because = f" (before it, the setup cell '{grade_id(broken)}' fails: {_message(broken)})" if broken else ""
    said = {grade_id(cell): _message(cell) for cell in run.cells if grade_id(cell) in wanted}
    messages = {name: message and message + because for name, message in said.items()}
    if kept:
        kept.put(chapter.name, digest, messages)
    return messages


def _bare(cell: NotebookNode) -> NotebookNode:
    return NotebookNode(
        {**cell, "outputs": [], "execution_count": None, "metadata": NotebookNode(nbgrader=cell.metadata.get("nbgrader", {}))}
    )


def _message(cell: NotebookNode) -> str:
    if cell.execution_count is None:
        return "it did not run: an answer above ended the kernel"
    errors = [output for output in cell.outputs if output.output_type == "error"]
    if not errors:
        return ""
    if errors[-1].ename == "KeyboardInterrupt":
        return f"it did not end within {CELL_SECONDS} s: look for an endless loop"
    return f"{errors[-1].ename}: {errors[-1].evalue}".removesuffix(": ")


def _title(notebook: NotebookNode, chapter: Chapter) -> str:
    lines = notebook.cells[0].source.splitlines() if notebook.cells else []
    return f"{chapter.number} {lines[0].removeprefix('# ')}" if lines else chapter.name


class _Kept:
    """Results of earlier runs, by chapter, each with the digest of what was run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.entries = dict(json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError):  # none yet, or one that something else wrote: everything is run again
            self.entries = {}

    def get(self, chapter: str, digest: str) -> dict[str, str] | None:
        """Return the messages of a run of the same cells; None where there was none."""
        match self.entries.get(chapter):
            case [str(known), dict(messages)] if known == digest:
                return messages
        return None

    def put(self, chapter: str, digest: str, messages: dict[str, str]) -> None:
        """Keep the messages of a run, where that can be done: without, the next time takes longer."""
        self.entries[chapter] = [digest, messages]
        with suppress(GraderError):
            write_if_changed(self.path, json.dumps(self.entries, ensure_ascii=False, indent=1).encode())
