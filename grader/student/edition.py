"""Brings a newer edition of the notebooks into a folder where a student has answers, without losing a word of theirs.

Answers go to the cell of the same name; cells that the student added follow the cell that they followed; of released text and
demonstrations that the student changed, their version stands below the new one. Every notebook is copied aside before.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from grader import names
from grader.course import Chapter, Course
from grader.errors import GraderError
from grader.files import write_if_changed
from grader.notebook import content_id, dumps
from grader.student.cells import Kind, NotebookError, answers, is_as_released, kind_of, read
from grader.template import exercises, grade_id

BACKUPS = "backups"  # folder of the course
UNDER_WAY = "UNDER_WAY"  # file in a backup whose update has not come to its end
BACK_IN_PLACE = b"the notebooks are back in their places"  # what it holds where that was done


class UpdateError(GraderError):
    """A newer edition cannot be had; nothing was changed."""


@dataclass(frozen=True)
class Updated:
    """One chapter that a newer edition changed, and what its reader should know."""

    chapter: str
    notes: list[str] = field(default_factory=list)


def from_folder(course: Course, old: Path) -> Iterator[Updated]:
    """Take over the work in the notebooks of another copy of the course, which stays as it is; yield each chapter that had some.

    Raises UpdateError where `old` holds no notebooks.
    """
    theirs = Course(old.resolve()).released()
    if not theirs or old.resolve() == course.root.resolve():
        raise UpdateError(
            f"{old}: no other copy of the course\n    remedy: name the folder in which you worked before; it holds notebooks/"
        )
    work = ((chapter, read(chapter.student), f"your notebook stays at {chapter.student}") for chapter in theirs)
    yield from _bring_all(course, work, _Backup(course))


def from_git(course: Course) -> Iterator[Updated]:
    """Bring the clone to its upstream's newest commit, and the work in its notebooks with it; yield each chapter that had some.

    Raises UpdateError, with everything as it was, where the clone has commits or changes that git cannot merge.
    """
    git = _Git(course.root)
    if (top := Path(git("rev-parse", "--show-toplevel"))) != course.root.resolve():
        remedy = "get the new edition into another folder, and there run `make update FROM=this-folder`"
        raise UpdateError(f"{course.root}: no clone of the course, but a folder in the git repository {top}\n    remedy: {remedy}")
    git("fetch", "--quiet")
    interrupted = yield from _restore(course, git)
    if git("rev-parse", "HEAD") == git("rev-parse", "@{upstream}") and not interrupted:
        return
    changed = git.changed()
    backup = _Backup(course)
    kept = f"your notebook is in {backup.folder}"
    work = [(chapter, read(chapter.student), kept) for chapter in course.released() if chapter.student in changed]
    others = {path: _sources(path) for path in changed if path.is_file() and path not in [chapter.student for chapter, _, _ in work]}
    for path in changed:
        if path.is_file():
            backup.keep(path)
    with backup.under_way():
        git("checkout", "--quiet", "HEAD", "--", "notebooks")
        rewritten = [path for path, sources in others.items() if sources != _sources(path)]
        git("merge", "--quiet", "--ff-only", "@{upstream}")
        yield from _bring_all(course, work, backup)
    for path in rewritten:
        yield Updated(path.stem, [f"it is the course's own page: what you wrote there is in {backup.folder}"])


def _restore(course: Course, git: _Git) -> Generator[Updated, None, bool]:
    """Put back the notebooks of an update that was killed, and say where later work in them is; return whether there was one."""
    found = sorted(course.root.glob(f"{BACKUPS}/*/{UNDER_WAY}"))
    later = _Backup(course, "_since_then")
    for marker in found:
        if marker.read_bytes() != BACK_IN_PLACE:
            changed = git.changed()
            for copy in marker.parent.rglob("*.ipynb"):
                path = course.root / copy.relative_to(marker.parent)
                if path in changed and path.is_file() and path.read_bytes() != copy.read_bytes():
                    yield Updated(
                        path.stem, [f"an update was interrupted; what you have done in this notebook since is in {later.keep(path)}"]
                    )
                write_if_changed(path, copy.read_bytes())
            marker.write_bytes(BACK_IN_PLACE)
    return bool(found)


def _sources(path: Path) -> list[str]:
    try:
        return [cell.source for cell in read(path).cells]
    except NotebookError:
        return []


def _bring_all(course: Course, work: Iterable[tuple[Chapter, NotebookNode, str]], backup: _Backup) -> Iterator[Updated]:
    """Carry notebooks over, each given with its old chapter and with what is said where this edition has none of that number."""
    ours = {chapter.number: chapter for chapter in course.released()}
    for old, notebook, kept in work:
        if old.number not in ours:
            yield Updated(old.name, [f"this edition has no such chapter; {kept}"])
        elif updated := _bring(notebook, ours[old.number], backup):
            yield updated


def carry_over(mine: NotebookNode, newer: NotebookNode) -> tuple[NotebookNode, list[str]]:
    """Return the newer edition of a notebook with a student's work from `mine`, and what they should know."""
    made: NotebookNode = deepcopy(newer)
    work = _Work(mine, made)
    for index, cell in enumerate(mine.cells):
        work.take(index, cell)
    _keep_outputs(mine, made)
    cells = list(work.following[-1])
    for position, cell in enumerate(made.cells):
        cells += [cell, *work.following[position]]
    made.cells = cells
    _make_ids_unique(made)
    return made, [*work.notes, *_changes(mine, newer)]


class _Work:
    """A student's work on its way into the cells of a newer edition."""

    def __init__(self, mine: NotebookNode, made: NotebookNode) -> None:
        self.mine, self.made = mine, made
        self.places = {_key(cell): position for position, cell in enumerate(made.cells)}
        self.there = Counter(cell.source for cell in made.cells if kind_of(cell) is Kind.ADDED)  # where some work was brought before
        self.last = {_key(cell): index for index, cell in enumerate(mine.cells)}
        self.following: defaultdict[int, list[NotebookNode]] = defaultdict(list)
        self.notes: list[str] = []
        self.at = -1

    def take(self, index: int, cell: NotebookNode) -> None:
        """Put one cell of the student's where it belongs."""
        kind, key = kind_of(cell), _key(cell)
        if kind is Kind.ADDED and key in self.places and not cell.get("id"):
            kind = Kind.RELEASED  # saved by a program that keeps no ids
        if kind is not Kind.ADDED:
            self.at = self.places.get(key, self.at)
        if kind is Kind.ANSWER:
            self._answer(index, cell, key)
        elif kind is Kind.EDITED:
            self._follow(cell)
            self.notes.append("you changed a text or a demonstration of ours: your version stands below the new one")
        elif kind is Kind.ADDED and cell.source.strip():
            self._follow(cell)
        elif kind is Kind.LOCKED and not is_as_released(cell):
            self.notes.append(f"you changed '{key}', a cell of the course: the course's stands there again")

    def _answer(self, index: int, cell: NotebookNode, key: str) -> None:
        if is_as_released(cell):
            return
        if self.last[key] != index:
            self._follow(cell)
        elif key in answers(self.made):
            self._fill(key, cell)
        elif renamed := self._renamed(cell):
            self.notes.append(f"exercise '{key}' is called '{renamed}' now: your answer is there")
            self._fill(renamed, cell)
        else:
            self._keep_as_text(cell, f"Your answer to the exercise `{key}`, which this edition does not have:")
            self.notes.append(f"exercise '{key}' is no longer there: your answer is kept as text at its place")

    def _fill(self, name: str, cell: NotebookNode) -> None:
        new = self.made.cells[self.places[name]]
        if is_as_released(new) or new.source == cell.source:
            new.source = cell.source
        else:
            self._keep_as_text(cell, f"Your other answer to the exercise `{name}`:")
            self.notes.append(f"exercise '{name}' has two answers of yours: the one here stands, the other is kept as text below it")

    def _keep_as_text(self, cell: NotebookNode, words: str) -> None:
        fence = "`" * (1 + max(map(len, re.findall("`{2,}", cell.source)), default=2))
        self._put(new_markdown_cell(f"{words}\n\n{fence}python\n{cell.source}\n{fence}"))

    def _renamed(self, cell: NotebookNode) -> str:
        """Return the only new exercise that defines what this answer does; nothing where none or several do."""
        defined = names.bound_and_read(cell.source)[0]
        known = set(answers(self.mine))
        found = [name for name, new in answers(self.made).items() if name not in known and defined & names.bound_and_read(new.source)[0]]
        return found[0] if len(found) == 1 else ""

    def _follow(self, cell: NotebookNode) -> None:
        copy = deepcopy(cell)
        copy.metadata.pop("nbgrader", None)
        copy.metadata.pop("deletable", None)
        self._put(copy)

    def _put(self, cell: NotebookNode) -> None:
        if self.there[cell.source]:
            self.there[cell.source] -= 1
        else:
            self.following[self.at].append(cell)


def _key(cell: NotebookNode) -> str:
    return grade_id(cell) or str(cell.get("id", "")) or content_id(cell.source)


def _keep_outputs(mine: NotebookNode, made: NotebookNode) -> None:
    before = {_key(cell): cell for cell in mine.cells if cell.cell_type == "code"}
    for cell in made.cells:
        old = before.get(_key(cell))
        if cell.cell_type == "code" and old and old.source == cell.source:
            cell.outputs, cell.execution_count = old.outputs, old.execution_count


def _make_ids_unique(notebook: NotebookNode) -> None:
    taken: set[str] = set()
    for number, cell in enumerate(notebook.cells):
        if not cell.get("id") or cell.id in taken:
            cell.id = f"mine-{number}"
        taken.add(cell.id)


def _changes(mine: NotebookNode, newer: NotebookNode) -> Iterator[str]:
    """Say what the newer edition changed in exercises that the student has begun."""
    given = {name: cell.metadata.nbgrader.get("checksum") for name, cell in answers(newer).items()}
    begun = {name: cell for name, cell in answers(mine).items() if name in given and not is_as_released(cell)}
    old, new = exercises(mine), exercises(newer)
    for name, cell in begun.items():
        if cell.metadata.nbgrader.get("checksum") != given[name]:
            yield f"exercise '{name}' gives you other code to begin with: compare your answer with its statement"
        added = [check for check, owner in new.items() if owner == name and check not in old]
        removed = [check for check, owner in old.items() if owner == name and check not in new]
        if added:
            yield f"exercise '{name}' has new checks: {', '.join(added)}"
        if removed:
            yield f"exercise '{name}' has lost checks: {', '.join(removed)}"


def _bring(mine: NotebookNode, chapter: Chapter, backup: _Backup) -> Updated | None:
    newer = read(chapter.student)
    made, notes = carry_over(mine, newer)
    content = dumps(made).encode()
    if content == dumps(newer).encode():
        return None
    if chapter.student not in backup.kept:
        backup.keep(chapter.student)
    write_if_changed(chapter.student, content)
    return Updated(chapter.name, notes)


class _Backup:
    """A folder named by the time, with copies of what is about to change."""

    def __init__(self, course: Course, suffix: str = "") -> None:
        self.root = course.root
        self.folder = course.root / BACKUPS / (time.strftime("%Y-%m-%d_%H-%M-%S") + suffix)
        self.kept: set[Path] = set()

    def keep(self, path: Path) -> Path:
        """Copy a file; return the copy."""
        copy = self.folder / path.relative_to(self.root)
        write_if_changed(copy, path.read_bytes())
        self.kept.add(path)
        return copy

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Put every copy back where the work inside fails or is interrupted; where it is killed, the next update does.

        Either way the next update takes it up, whether or not there is a newer edition then.
        """
        marker = self.folder / UNDER_WAY
        write_if_changed(marker, b"")
        try:
            yield
        except BaseException:
            for path in self.kept:
                shutil.copy2(self.folder / path.relative_to(self.root), path)
            marker.write_bytes(BACK_IN_PLACE)
            raise
        for path in self.folder.parent.glob(f"*/{UNDER_WAY}"):
            path.unlink()


class _Git:
    """git in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str) -> str:
        """Return what it prints; UpdateError with its own words where it fails."""
        try:
            done = subprocess.run(["git", *arguments], cwd=self.folder, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            done = subprocess.CompletedProcess([], 1, "", "git is not installed")
        if done.returncode:
            remedy = "see what git says; or get the new edition into another folder, and there run `make update FROM=this-folder`"
            raise UpdateError(f"{self.folder}: git {arguments[0]}: {done.stderr.strip()}\n    remedy: {remedy}")
        return done.stdout.strip()

    def changed(self) -> list[Path]:
        """Return the notebooks that are not as they were committed."""
        found = self("diff", "--name-only", "-z", "--relative", "HEAD", "--", "notebooks").split("\0")
        return [self.folder / name for name in found if name]
