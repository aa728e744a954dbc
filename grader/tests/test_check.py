"""The check turns red on every planted drift and leak, and stays green without one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_output

from grader.build import build
from grader.check import check, orphans
from grader.course import Chapter, Course
from grader.notebook import dumps, load
from grader.tests.conftest import edit


def findings(course: Course) -> str:
    return "\n".join(str(error) for _, errors in check(course, course.chapters()) for error in errors)


def rewrite(path: Path, change: Callable[[dict[str, NotebookNode], NotebookNode], object]) -> None:
    """Change a committed notebook by hand: `change` gets its cells by id, and the notebook."""
    notebook = load(path)
    change({cell.id: cell for cell in notebook.cells}, notebook)
    path.write_text(dumps(notebook), encoding="utf-8")


def test_a_course_that_is_built_is_clean(built: Course) -> None:
    assert findings(built) == ""
    assert orphans(built) == []


# (what was planted, text in the lesson source, its replacement, words of the finding)
EDITED_SOURCES = [
    ("prose that is not rebuilt", "A lesson small enough", "A lesson that is small enough", "cell 1 ("),
    (
        "an answer that is not rebuilt",
        "return [2 * value for value in values]",
        "return [value * 2 for value in values]",
        "cell 9 ('double')",
    ),
    ("other points", "points=3", "points=4", "its checks give 6"),
    ("a check with another id", 'check="length-by-hand" points=2', 'check="length-first" points=2', "fails"),
    ("a cell that is gone", "\n\n# %%\nprint(math.hypot(6.0, 8.0))\n", "\n", "cells where the source says"),
    ("a file that jupytext would write in another way", "# %%\nprint(math.hypot(6.0, 8.0))", "# The end.", "jupytext would write"),
]


@pytest.mark.parametrize(("old", "new", "words"), [pytest.param(*row[1:], id=row[0]) for row in EDITED_SOURCES])
def test_an_edited_source_is_seen(built: Course, old: str, new: str, words: str) -> None:
    (chapter,) = built.chapters()
    edit(chapter.source, old, new)
    assert words in findings(built)
    assert "remedy: " in findings(built)


def _stores_a_picture(cells: dict[str, NotebookNode], _: NotebookNode) -> None:
    cells["length-by-hand"].outputs.append(new_output("display_data", data={"image/png": "iVBORw0KGgo=", "text/plain": "<Figure>"}))


# (what was planted, the change, words of the finding)
EDITED_INSTRUCTORS: list[tuple[str, Callable[[dict[str, NotebookNode], NotebookNode], object], str]] = [
    (
        "another answer",
        lambda cells, _: cells["double"].update(source="def double(values): ..."),
        "cell 9 ('double') is not what the source says: its source",
    ),
    ("other points", lambda cells, _: cells["double-keeps"].metadata.nbgrader.update(points=7), "its metadata differ"),
    ("another id", lambda cells, _: cells["double-keeps"].update(id="double-other"), "its id differ"),
    ("a cell more", lambda _, notebook: notebook.cells.append(new_markdown_cell("More", id="more")), "cells where the source says"),
    ("other metadata", lambda _, notebook: notebook.metadata.update(title="Tiny"), "its metadata or its formatting"),
    ("a cell that was not run", lambda cells, _: cells["double"].update(execution_count=None), "cell 'double' was not executed"),
    ("a picture", _stores_a_picture, "cell 'length-by-hand' stores a picture"),
]


@pytest.mark.parametrize(("change", "words"), [pytest.param(*row[1:], id=row[0]) for row in EDITED_INSTRUCTORS])
def test_an_edited_instructor_notebook_is_seen(
    built: Course, change: Callable[[dict[str, NotebookNode], NotebookNode], object], words: str
) -> None:
    (chapter,) = built.chapters()
    rewrite(chapter.instructor, change)
    assert f"{chapter.instructor}: {words}" in findings(built) or words in findings(built)
    assert "make build LESSON=01" in findings(built)


EDITED_STUDENTS: list[tuple[str, Callable[[dict[str, NotebookNode], NotebookNode], object], str]] = [
    ("another stub", lambda cells, _: cells["length"].update(source="def length(x, y): ..."), "('length') is not what the source says"),
    ("an unlocked check", lambda cells, _: cells["length-by-hand"].metadata.update(editable=True), "its metadata differ"),
    ("an output", lambda cells, _: cells["length"].outputs.append(new_output("stream", text="5.0\n")), "cell 'length' stores an output"),
    ("an answer", lambda cells, _: cells["length"].update(source="return math.sqrt(x * x + y * y)"), "a line of exercise 'length' stands in cell 'length'"),
    ("a hidden test", lambda cells, _: cells["length-negative"].update(source="    found = 1\nassert found == 13.0, "), "('length-negative') is not"),
    ("an explanation", lambda cells, _: cells["length"].update(source="# The squares take the signs away before the root is drawn."), "a line of explanation"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words"), [pytest.param(*row[1:], id=row[0]) for row in EDITED_STUDENTS])
def test_an_edited_student_notebook_is_seen(
    built: Course, change: Callable[[dict[str, NotebookNode], NotebookNode], object], words: str
) -> None:
    (chapter,) = built.chapters()
    rewrite(chapter.student, change)
    assert words in findings(built)


# (what leaks although everything is rebuilt, the line that a public cell repeats, words of the finding)
LEAKS = [
    ("an answer", "return math.sqrt(x * x + y * y)", "a line of exercise 'length' stands in cell"),
    ("a hidden test", 'assert found == 13.0, f"length(-5, 12) should be 13, got {found!r}: did you square both?"', "a line of hidden 'length-negative'"),
    ("an explanation", "The squares take the signs away before the root is drawn.", "a line of explanation 'length'"),
    ("a right answer", "return list(map(lambda value: value + value, values))", "a line of right 'double-map'"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "words"), [pytest.param(*row[1:], id=row[0]) for row in LEAKS])
def test_a_lesson_that_gives_a_secret_away_is_seen(built: Course, line: str, words: str) -> None:
    (chapter,) = built.chapters()
    edit(chapter.source, "# A lesson small enough to be built in a test.", f"# A hint: {line}")
    assert [result.error for result in build(built, [chapter])] == [None]
    assert words in findings(built)
    assert f"{chapter.source}:" in findings(built)


def test_a_file_beside_the_student_notebook_must_lie_beside_the_lesson_and_tell_nothing(built: Course) -> None:
    (chapter,) = built.chapters()
    for folder in (chapter.source.parent, chapter.student.parent):
        (folder / "table.csv").write_text("1,2\n")
    assert findings(built) == ""
    (chapter.student.parent / "table.csv").write_text("1,3\n")
    assert "table.csv: not what lies beside the lesson\n    remedy: run `make build LESSON=01`" in findings(built)
    (chapter.student.parent / "table.csv").unlink()
    (chapter.student.parent / "answers.txt").write_text("    return [2 * value for value in values]\n")
    assert "answers.txt: students get it, and no such file lies beside the lesson" in findings(built)
    assert "answers.txt: a line of exercise 'double'" in findings(built)


@pytest.mark.parametrize("which", ["instructor", "student"])
def test_a_notebook_that_is_missing_or_unreadable_is_seen(built: Course, which: str) -> None:
    (chapter,) = built.chapters()
    notebook: Path = getattr(chapter, which)
    notebook.write_text("{", encoding="utf-8")
    assert f"{notebook}: missing or unreadable" in findings(built)
    notebook.unlink()
    assert f"{notebook}: missing or unreadable" in findings(built)


def test_a_notebook_without_a_source_is_seen(built: Course) -> None:
    stray = Chapter("02_gone", built.root).student
    stray.parent.mkdir()
    stray.write_text("{}", encoding="utf-8")
    checkpoint = stray.parent / ".ipynb_checkpoints" / stray.name
    checkpoint.parent.mkdir()
    checkpoint.write_text("{}", encoding="utf-8")
    (error,) = orphans(built)
    assert str(error).startswith(f"{stray}: no lesson source stands behind it")


def test_one_chapter_that_is_wrong_hides_no_other(built: Course) -> None:
    broken = built.root / "solutions" / "00_broken" / "00_broken.py"
    broken.parent.mkdir()
    broken.write_text("# %% nonsense=1\nx = 1\n", encoding="utf-8")
    found = {chapter.name: len(errors) for chapter, errors in check(built, built.chapters())}
    assert found["00_broken"] > 0
    assert found["01_tiny"] == 0
