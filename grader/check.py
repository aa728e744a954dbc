"""Compares what is committed with what the lesson sources say, without starting a kernel."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from nbformat import NotebookNode

from grader import ledger
from grader.course import Chapter, Course, attachments
from grader.errors import DriftError, GraderError
from grader.lesson import SECRET_ROLES, Cell, Lesson, Role, read
from grader.notebook import dumps, instructor_notebook, load, without_outputs
from grader.readme import updated
from grader.rules import require_sound
from grader.welcome import page
from grader.welcome import path as page_path

TELLING = 24  # characters; a shorter line ("return x + y") tells nothing and stands in many places


def check(course: Course, chapters: list[Chapter]) -> Iterator[tuple[Chapter, list[GraderError]]]:
    """Yield each chapter with everything that is wrong with it.

    Proves that the source is a fixed point of jupytext and keeps the rules, that both committed notebooks are what it says,
    byte for byte, that the instructor notebook was executed, and that the student notebook holds no secret and no output.
    """
    for chapter in chapters:
        try:
            lesson = read(chapter.source)
            require_sound(lesson)
        except GraderError as error:
            yield chapter, [error]
            continue
        yield chapter, [*_instructor(chapter, lesson), *_student(course, chapter, lesson)]


def require_built(course: Course, chapters: Sequence[Chapter]) -> None:
    """Raise DriftError with all that `check` finds: a notebook that is not as it was built might hold answers."""
    errors = [error for _, found in check(course, list(chapters)) for error in found]
    if errors:
        raise DriftError("\n".join(map(str, errors)))


def orphans(course: Course) -> list[GraderError]:
    """Return an error for every committed notebook that no lesson source stands behind."""
    known = {path for chapter in course.chapters() for path in (chapter.instructor, chapter.student)}
    found = [path for folder in ("solutions", "notebooks") for path in sorted((course.root / folder).glob("**/*.ipynb"))]
    return [
        DriftError(f"{path}: no lesson source stands behind it\n    remedy: delete it")
        for path in found
        if path not in known and path != page_path(course) and ".ipynb_checkpoints" not in path.parts
    ]


def welcome(course: Course) -> list[GraderError]:
    """Return an error where the page on which JupyterLab opens is not what the lessons say."""
    path = page_path(course)
    if path.is_file() and path.read_bytes() == dumps(page(course)).encode():
        return []
    return [DriftError(f"{path}: missing, or not what the lessons say\n    remedy: run `make build` and commit what it writes")]


def readme(course: Course) -> list[GraderError]:
    """Return an error where the README's table of chapters is not what the lessons say."""
    if not course.readme.is_file():
        return []
    text = course.readme.read_text(encoding="utf-8")
    try:
        if updated(course, text) != text:
            found = "its table of chapters is not what the lessons say"
            return [DriftError(f"{course.readme}: {found}\n    remedy: run `make build` and commit what it writes")]
    except GraderError as error:
        return [error]
    return []


def _remedy(chapter: Chapter) -> str:
    return f"remedy: run `make build LESSON={chapter.name.partition('_')[0]}` and commit what it writes"


def _instructor(chapter: Chapter, lesson: Lesson) -> Iterator[GraderError]:
    committed = _load(chapter.instructor)
    if committed is None:
        yield DriftError(f"{chapter.instructor}: missing or unreadable\n    {_remedy(chapter)}")
        return
    wanted, bare = instructor_notebook(lesson), without_outputs(committed)
    if dumps(bare) != dumps(wanted):
        yield DriftError(f"{chapter.instructor}: {_first_difference(bare, wanted)}\n    {_remedy(chapter)}")
    for cell in committed.cells:
        if cell.cell_type != "code":
            continue
        if cell.execution_count is None:
            yield DriftError(f"{chapter.instructor}: cell '{cell.id}' was not executed\n    {_remedy(chapter)}")
        if any(kind.startswith("image/") for output in cell.outputs for kind in output.get("data", {})):
            yield DriftError(f"{chapter.instructor}: cell '{cell.id}' stores a picture\n    {_remedy(chapter)}")


def _student(course: Course, chapter: Chapter, lesson: Lesson) -> Iterator[GraderError]:
    committed = _load(chapter.student)
    if committed is None:
        yield DriftError(f"{chapter.student}: missing or unreadable\n    {_remedy(chapter)}")
        return
    if chapter.instructor.is_file():
        try:
            with tempfile.TemporaryDirectory() as folder:
                (fresh,) = ledger.release(course, [chapter], Path(folder))
                if fresh.read_bytes() != chapter.student.read_bytes():
                    yield DriftError(f"{chapter.student}: {_first_difference(committed, load(fresh))}\n    {_remedy(chapter)}")
        except GraderError as error:
            yield error
    for cell in committed.cells:
        if cell.get("outputs"):
            yield DriftError(f"{chapter.student}: cell '{cell.id}' stores an output\n    {_remedy(chapter)}")
    yield from _leaks(chapter, lesson, committed)
    yield from _attachments(chapter, lesson)


def _attachments(chapter: Chapter, lesson: Lesson) -> Iterator[GraderError]:
    """A file beside the student notebook, which students get as well, that does not lie beside the lesson or gives a secret away."""
    ours = chapter.attachments
    for place, path in attachments(chapter.student.parent).items():
        content = path.read_bytes()
        for line, secret in secrets(lesson).items():
            if line.encode() in content:
                yield DriftError(
                    f"{path}: a line of {secret.role.value} '{secret.id}': {line!r}\n    remedy: students get this file: remove it"
                )
        if place not in ours:
            yield DriftError(
                f"{path}: students get it, and no such file lies beside the lesson\n    remedy: put it there too, or remove it"
            )
        elif content != ours[place].read_bytes():
            yield DriftError(f"{path}: not what lies beside the lesson\n    {_remedy(chapter)}")


def _leaks(chapter: Chapter, lesson: Lesson, student: NotebookNode) -> Iterator[GraderError]:
    """A telling line of a secret cell that stands anywhere in the student notebook, stubs excepted."""
    for line, secret in secrets(lesson).items():
        for cell in student.cells:
            if line in cell.source:
                found = f"a line of {secret.role.value} '{secret.id}' stands in cell '{cell.id}' of {chapter.student}: {line!r}"
                yield DriftError(f"{lesson.path}:{secret.line}: {found}\n    remedy: write the lesson, or the secret cell, in another way")


def secrets(lesson: Lesson) -> dict[str, Cell]:
    """Return the telling lines that no student may see, each with its cell; not what stands in a stub anyway."""
    stubs = "\n".join(cell.blank for cell in lesson.with_role(Role.EXERCISE, Role.ANSWER))
    lines = {line.strip(): cell for cell in reversed(lesson.cells) for line in reversed(_secret_lines(cell))}
    return {line: cell for line, cell in reversed(lines.items()) if len(line) >= TELLING and line not in stubs}


def _secret_lines(cell: Cell) -> list[str]:
    if cell.role in SECRET_ROLES:
        return cell.source.splitlines()
    return cell.solution_lines if cell.role in (Role.EXERCISE, Role.ANSWER) else []


def _first_difference(committed: NotebookNode, wanted: NotebookNode) -> str:
    for position, (old, new) in enumerate(zip(committed.cells, wanted.cells, strict=False), start=1):
        if old != new:
            parts = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
            return f"cell {position} ('{new.id}') is not what the source says: its {', '.join(parts)} differ{'s' * (len(parts) == 1)}"
    if len(committed.cells) != len(wanted.cells):
        return f"{len(committed.cells)} cells where the source says {len(wanted.cells)}"
    return "its metadata or its formatting is not what the builder writes"


def _load(path: Path) -> NotebookNode | None:
    try:
        return load(path)
    except Exception:  # missing, not JSON, not a notebook: all are drift
        return None
