"""What grading needs of a chapter: its setup cells, and every check split into questions and judgement."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from nbformat import NotebookNode

from grader import template as notebooks
from grader.course import Chapter
from grader.engine.split import SplitError, split
from grader.errors import GraderError
from grader.template import SKIP_TAG, blank, grade_id, is_a

MAX_FILES = 16 * 2**20
Step = list[Any]  # [kind, id, source, seconds, owner], as `grader.engine.answer` takes them


@dataclass(frozen=True)
class Seconds:
    """Processor time that a submission's code may take; `nbgrader_config.py` says the same of wall time for stock nbgrader."""

    check: float = 10.0  # a check or hidden test; those of one exercise together may take twice as long
    cell: float = 60.0  # any other cell
    submission: float = 900.0  # everything, of wall time


@dataclass(frozen=True)
class Check:
    """A check or hidden test, split."""

    id: str
    exercise: str
    questions: str
    judgement: str

    def step(self, seconds: float) -> Step:
        """Return what the answer process is told to do."""
        return ["ask", self.id, self.questions, seconds, self.exercise]


@dataclass(frozen=True)
class Plan:
    """A chapter, as far as grading needs it."""

    chapter: str
    setup: tuple[tuple[str, str], ...]
    checks: dict[str, Check]
    stubs: dict[str, str]  # exercise → what a student is given
    files: dict[str, bytes]  # relative path → content of what lies beside the notebook
    seconds: Seconds

    @property
    def fingerprint(self) -> str:
        """A digest of everything that a mark depends on besides the submission."""
        return _digest(
            repr((self.setup, self.files, sorted(self.stubs.items()))), *(self.fingerprint_of(check) for check in self.checks.values())
        )

    def fingerprint_of(self, check: Check) -> str:
        """A digest of what one check's mark depends on besides the submission."""
        return _digest(repr((self.setup, self.files)), check.id, check.questions, check.judgement)


def plan_of(chapter: Chapter, template: NotebookNode, seconds: Seconds | None = None) -> Plan:
    """Return the plan of a chapter with the instructor notebook `template`.

    Raises GraderError where a check cannot be split, with all such checks, or where the chapter's other files are too large.
    """
    files = {place: path.read_bytes() for place, path in chapter.attachments.items()}
    if sum(map(len, files.values())) > MAX_FILES:
        raise GraderError(f"{chapter.source.parent}: its files have more than {MAX_FILES // 2**20} MiB\n    remedy: put them into data/")
    solutions = {grade_id(cell): cell for cell in template.cells if cell.cell_type == "code" and is_a(cell, "solution")}
    setup = tuple((grade_id(cell), cell.source) for cell in template.cells if cell.cell_type == "code" and _is_setup(cell))
    owners = notebooks.exercises(template)
    checks, refused = {}, []
    for cell in template.cells:
        if cell.cell_type != "code" or not is_a(cell, "grade"):
            continue
        name = grade_id(cell)
        try:
            made = split(cell.source, solutions[owners[name]].source, [source for _, source in setup])
        except SplitError as error:
            refused.append(f"{chapter.name}: check '{name}' cannot be split into questions and judgement: {error}")
        else:
            checks[name] = Check(name, owners[name], made.questions, made.judgement)
    if refused:
        raise GraderError("\n".join(refused) + "\n    remedy: see `Checks that split` in CONTRIBUTING.md")
    stubs = {name: blank(cell) for name, cell in solutions.items()}
    return Plan(chapter.name, setup, checks, stubs, files, seconds or Seconds())


@dataclass(frozen=True)
class Task:
    """A submission, as far as grading needs it: `(kind, id, source)` of its code cells in order, `kind` setup, run or ask.

    `key` names the submission, `checks` those to be graded.
    """

    key: str
    cells: tuple[tuple[str, str, str], ...]
    checks: tuple[str, ...]


def task_of(plan: Plan, key: str, notebook: NotebookNode, checks: Collection[str] | None = None) -> Task:
    """Return the task of grading a rebuilt notebook, with all of its checks or only those named."""
    cells = []
    for cell in notebook.cells:
        name = grade_id(cell)
        if cell.cell_type != "code" or SKIP_TAG in cell.metadata.get("tags", []):
            continue
        if is_a(cell, "grade"):
            cells.append(("ask", name, ""))
        else:
            cells.append(("setup" if _is_setup(cell) else "run", name or cell.id, cell.source))
    wanted = tuple(name for name in plan.checks if checks is None or name in checks)
    return Task(key, tuple(cells), wanted)


def steps(plan: Plan, task: Task, *, whole: bool) -> Iterator[Step]:
    """Yield what the answer process does; `whole` with the setup cells at their places, which a warm process has done before."""
    for kind, name, source in task.cells:
        if kind == "ask":
            if name in task.checks:
                yield plan.checks[name].step(plan.seconds.check)
        elif whole or kind == "run":
            yield ["run", name, source, plan.seconds.cell, name]


def _is_setup(cell: NotebookNode) -> bool:
    return bool(grade_id(cell)) and not is_a(cell, "solution") and not is_a(cell, "grade")


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
