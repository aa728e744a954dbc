"""A lesson: what one hand-written source file says, as cells with roles.

The notation is headerless `py:percent` (jupytext), with a role as a key on the cell marker; CONTRIBUTING lists the roles.
`read` parses; `grader.rules` says whether the lesson is sound.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any

import jupytext

from grader.errors import Finding, LessonError

BEGIN_SOLUTION, END_SOLUTION = "# BEGIN SOLUTION", "# END SOLUTION"
STUB = ("# YOUR CODE HERE", "raise NotImplementedError()")  # what nbgrader's ClearSolutions writes
IDS_ARE = "an id is made of lower-case letters a–z, digits, and single hyphens between them"
MARKER = re.compile(r"^# %%")
SECTION_KEY = "section"  # in the metadata of a check: where to read again
HEADING = re.compile(r"^### Exercise (?P<number>\d+): (?P<title>.+) \((?P<points>\d+) points?\)$", re.MULTILINE)  # above an exercise
SURVIVOR = re.compile(r"^- `(?P<statement>.+)`: (?P<reason>.+)$")


class Role(Enum):
    """What a cell is for; the value is its key on the cell marker."""

    LESSON = ""
    SETUP = "setup"
    EXERCISE = "exercise"
    CHECK = "check"
    HIDDEN = "hidden"
    ANSWER = "answer"
    EXPLANATION = "explanation"
    WRONG = "wrong"
    MISTAKE = "mistake"
    RIGHT = "right"
    SURVIVES = "survives"


MARKDOWN_ROLES = frozenset({Role.ANSWER, Role.EXPLANATION, Role.MISTAKE, Role.SURVIVES})
TEST_ROLES = frozenset({Role.CHECK, Role.HIDDEN})
POINTS_ROLES = TEST_ROLES | {Role.ANSWER}
DROPPED_ROLES = frozenset({Role.WRONG, Role.MISTAKE, Role.RIGHT, Role.SURVIVES})  # never in any notebook
SECRET_ROLES = DROPPED_ROLES | {Role.HIDDEN, Role.EXPLANATION}  # never in a student's notebook


@dataclass(frozen=True)
class Cell:
    """One cell of a lesson source.

    `id` is the role's value: the nbgrader grade_id of a graded or setup cell, the exercise's id of an explanation.
    `line` is the 1-based line of the cell's marker. `keys` holds what stands on the marker besides the role.
    """

    kind: str  # "code" or "markdown"
    role: Role
    id: str
    source: str
    line: int
    keys: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def points(self) -> float:
        """Points of a graded cell; 0 for any other."""
        value = self.keys.get("points", 0)
        return value if isinstance(value, (int, float)) and not isinstance(value, bool) else 0

    @property
    def fails(self) -> tuple[str, ...]:
        """The checks that must catch this wrong answer."""
        return tuple(str(self.keys.get("fails", "")).split())

    @property
    def tags(self) -> tuple[str, ...]:
        """Jupyter cell tags."""
        return tuple(self.keys.get("tags", ()))

    @property
    def public_source(self) -> str:
        """The source less its solution regions: what a student may see of it."""
        return "\n".join(line for line, secret in _solution_lines(self.source) if not secret)

    @property
    def blank(self) -> str:
        """The source as a student gets it: every solution region replaced by nbgrader's stub."""
        lines: list[str] = []
        for line, secret in _solution_lines(self.source):
            if not secret:
                lines.append(line)
            elif line.strip() == BEGIN_SOLUTION:
                indent = line[: line.index("#")]
                lines += [indent + stub for stub in STUB]
        return "\n".join(lines)

    @property
    def solution_lines(self) -> list[str]:
        """The lines of the solution regions, markers excluded."""
        return [line for line, secret in _solution_lines(self.source) if secret and line.strip() not in (BEGIN_SOLUTION, END_SOLUTION)]


@dataclass(frozen=True)
class Mistake:
    """What a wrong answer does wrong: in a sentence for the teacher, and what follows from it for the student who made it."""

    headline: str
    explanation: str


@dataclass(frozen=True)
class Exercise:
    """An exercise with everything that proves its checks; `points` is what its checks give together."""

    answer: Cell
    statement: Cell | None
    tests: tuple[Cell, ...]  # visible checks and hidden tests, in order
    wrongs: tuple[Cell, ...]
    mistakes: dict[str, Mistake]  # wrong answer → what is wrong with it
    rights: tuple[Cell, ...]
    survivors: dict[str, str]  # mutated statement → why no check can or need catch it
    explanation: Cell | None

    @property
    def id(self) -> str:
        """The grade_id of the answer cell."""
        return self.answer.id

    @property
    def title(self) -> str:
        """What its heading says, such as `a mean`; its id where there is none."""
        match = HEADING.search(self.statement.source) if self.statement else None
        return match["title"] if match else self.id

    @property
    def points(self) -> float:
        """Points that the exercise's checks give together."""
        return sum(test.points for test in self.tests)


@dataclass(frozen=True)
class Lesson:
    """A chapter's source, parsed."""

    path: Path
    cells: tuple[Cell, ...]

    @property
    def name(self) -> str:
        """The chapter's name, such as `05_linear_regression`."""
        return self.path.stem

    @property
    def number(self) -> str:
        """The digits that its name begins with, such as `05`."""
        return self.name.partition("_")[0]

    @property
    def title(self) -> str:
        """The first heading."""
        for cell in self.cells:
            for line in cell.source.splitlines():
                if cell.kind == "markdown" and line.startswith("# "):
                    return line[2:].strip()
        return self.name

    @property
    def needs(self) -> tuple[str, ...]:
        """The numbers of the chapters that it builds on directly."""
        return tuple(self.cells[0].keys.get("needs", "").split()) if self.cells else ()

    @property
    def sittings(self) -> str:
        """How many evenings of about two hours it takes; empty where nobody said so."""
        return self.cells[0].keys.get("sittings", "") if self.cells else ""

    def with_role(self, *roles: Role) -> list[Cell]:
        """Return the cells that have one of `roles`, in order."""
        return [cell for cell in self.cells if cell.role in roles]

    @cached_property
    def exercises(self) -> tuple[Exercise, ...]:
        """The exercises in order; a check belongs to the exercise whose id is the longest prefix of its own."""
        ids = [cell.id for cell in self.with_role(Role.EXERCISE)]
        return tuple(self._exercise(position, cell, ids) for position, cell in enumerate(self.cells) if cell.role is Role.EXERCISE)

    def _exercise(self, position: int, answer: Cell, ids: list[str]) -> Exercise:
        def own(*roles: Role) -> tuple[Cell, ...]:
            return tuple(cell for cell in self.with_role(*roles) if owner_of(cell.id, ids) == answer.id)

        survivors = {
            statement: reason for cell in self.with_role(Role.SURVIVES) if cell.id == answer.id for statement, reason in survivors_of(cell)
        }
        return Exercise(
            answer=answer,
            statement=self.cells[position - 1] if position and self.cells[position - 1].kind == "markdown" else None,
            tests=own(Role.CHECK, Role.HIDDEN),
            wrongs=own(Role.WRONG),
            mistakes={cell.id: mistake_of(cell) for cell in own(Role.MISTAKE)},
            rights=own(Role.RIGHT),
            survivors=survivors,
            explanation=next((cell for cell in self.with_role(Role.EXPLANATION) if cell.id == answer.id), None),
        )


def owner_of(cell_id: str, exercises: list[str]) -> str | None:
    """Return the exercise that a check, a wrong or right answer or a mistake belongs to: the longest id that prefixes `cell_id`."""
    return max((exercise for exercise in exercises if cell_id.startswith(f"{exercise}-")), key=len, default=None)


def mistake_of(cell: Cell) -> Mistake:
    """Return what a `mistake` cell says: its first paragraph is the headline."""
    headline, _, explanation = cell.source.partition("\n\n")
    return Mistake(" ".join(headline.split()), explanation.strip())


def survivors_of(cell: Cell) -> Iterator[tuple[str, str]]:
    """Yield (mutated statement, reason) of a `survives` cell; lines of another form are left to `grader.rules`."""
    for line in cell.source.splitlines():
        if match := SURVIVOR.match(line):
            yield match["statement"], match["reason"]


def read(path: Path) -> Lesson:
    """Parse the lesson source at `path`.

    Raises LessonError where the text is not the py:percent that jupytext itself would write (its finding names the line),
    so that nothing changes its meaning between the source and the notebook.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise LessonError([Finding(path, 1, "", f"the file is not UTF-8: {error}", "save it as UTF-8")]) from error
    markers = [number for number, line in enumerate(text.splitlines(), start=1) if MARKER.match(line)]
    if not markers or text.splitlines()[0] != text.splitlines()[markers[0] - 1]:
        raise LessonError(
            [Finding(path, 1, "", "the first line is not a cell marker", "begin the file with `# %% [markdown]`, without a header")]
        )
    if almost := [number for number, line in enumerate(text.splitlines(), start=1) if line.startswith("#%%")]:
        raise LessonError([Finding(path, number, "", "a marker without its space", "write `# %%`") for number in almost])
    _refuse_code_in_prose(path, text, markers)
    notebook = jupytext.reads(text, fmt="py:percent")
    notebook.metadata["jupytext"] = {"notebook_metadata_filter": "-all"}
    _require_fixed_point(path, text, jupytext.writes(notebook, fmt="py:percent"))
    if len(notebook.cells) != len(markers):
        raise LessonError(
            [Finding(path, 1, "", f"{len(markers)} markers but {len(notebook.cells)} cells", "write `# %%` only where a cell begins")]
        )
    return Lesson(path, tuple(_cell(cell, line) for cell, line in zip(notebook.cells, markers, strict=True)))


def _cell(node: Any, line: int) -> Cell:
    keys = {key: value for key, value in node.metadata.items() if key != "lines_to_next_cell"}
    role = next((role for role in Role if role.value and role.value in keys), Role.LESSON)
    identity = str(keys.pop(role.value)) if role.value else ""
    return Cell(node.cell_type, role, identity, node.source, line, keys)


def _refuse_code_in_prose(path: Path, text: str, markers: list[int]) -> None:
    lines = text.splitlines()
    findings = []
    for start, end in zip(markers, [*markers[1:], len(lines) + 1], strict=True):
        if "[markdown]" not in lines[start - 1]:
            continue
        for number in range(start + 1, end):
            if lines[number - 1].strip() and not lines[number - 1].startswith("#"):
                found = f"code under a [markdown] marker would become prose: {lines[number - 1].strip()[:60]!r}"
                findings.append(Finding(path, number, "", found, "put a `# %%` marker before the code, or `# ` before the prose"))
                break
    if findings:
        raise LessonError(findings)


def _require_fixed_point(path: Path, text: str, again: str) -> None:
    if text == again:
        return
    lines, others = text.splitlines(), again.splitlines()
    number = next((i for i, (a, b) in enumerate(zip(lines, others, strict=False), start=1) if a != b), min(len(lines), len(others)) + 1)
    here = lines[number - 1] if number <= len(lines) else "(end of file)"
    there = others[number - 1] if number <= len(others) else "(end of file)"
    found = f"jupytext would write this line as {there[:80]!r}, not {here[:80]!r}"
    remedy = "use no `%` or `!` magics, one blank line between cells, and one newline at the end"
    if MARKER.match(here) and not here.isascii():
        found, remedy = f"a marker with a letter that is none of a–z: {here[:80]}", IDS_ARE
    raise LessonError([Finding(path, number, "", found, remedy)])


def _solution_lines(source: str) -> Iterator[tuple[str, bool]]:
    """Yield each line and whether it belongs to a solution region (its markers do)."""
    inside = False
    for line in source.split("\n"):
        mark = line.strip().removeprefix("<!-- ").removesuffix(" -->").removeprefix("# ")
        if mark == "BEGIN SOLUTION":
            inside = True
        yield line, inside
        if mark == "END SOLUTION":
            inside = False
