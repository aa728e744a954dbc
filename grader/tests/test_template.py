"""The graded notebook: only answers and added code cells come from a submission, whatever else it holds."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from grader.course import Course
from grader.ledger import release
from grader.lesson import read
from grader.notebook import dumps, instructor_notebook, load
from grader.template import (
    MAX_BYTES,
    SKIP_TAG,
    Note,
    Rebuilt,
    blank,
    exercises,
    grade_id,
    hidden_lines,
    read_submission,
    rebuild,
    without_hidden_tests,
)
from grader.tests.conftest import TINY_LESSON

FREE_TEXT = '# %% [markdown] answer="double-why" points=2\n# Why a new list?\n#\n# <!-- BEGIN SOLUTION -->\n# The caller keeps the old one.\n# <!-- END SOLUTION -->\n\n'
BEFORE = '# %% [markdown] explanation="double"'


@pytest.fixture
def template(tmp_path: Path) -> NotebookNode:
    source = tmp_path / "01_tiny.py"
    source.write_text(TINY_LESSON.read_text(encoding="utf-8").replace(BEFORE, FREE_TEXT + BEFORE), encoding="utf-8")
    return instructor_notebook(read(source))


@pytest.fixture
def student(template: NotebookNode) -> NotebookNode:
    """The notebook that a student gets."""
    cells = [NotebookNode(cell, metadata=NotebookNode(cell.metadata)) for cell in template.cells if "tags" not in cell.metadata]
    for cell in cells:
        cell.source = without_hidden_tests(blank(cell) if cell.metadata.get("nbgrader", {}).get("solution") else cell.source)
    made: NotebookNode = new_notebook(cells=cells, metadata=template.metadata)
    return made


def cell_of(notebook: NotebookNode, name: str) -> NotebookNode:
    cell: NotebookNode
    (cell,) = (cell for cell in notebook.cells if grade_id(cell) == name)
    return cell


def handed_in(folder: Path, template: NotebookNode, data: dict[str, Any]) -> NotebookNode:
    """Return what is read of a notebook that was saved as `data`."""
    path = folder / "01_tiny.ipynb"
    path.write_text(json.dumps(data), encoding="utf-8")
    submission = read_submission(path, template)
    assert isinstance(submission, NotebookNode)
    return submission


def place(notebook: NotebookNode, name: str) -> int:
    return [grade_id(cell) for cell in notebook.cells].index(name)


def sources(rebuilt: Rebuilt) -> list[str]:
    return [cell.source for cell in rebuilt.notebook.cells]


def found(rebuilt: Rebuilt) -> list[str]:
    return [note.found for note in rebuilt.notes]


def test_an_untouched_submission_is_the_template_with_blank_answers_and_no_remark(template: NotebookNode, student: NotebookNode) -> None:
    rebuilt = rebuild(template, student)
    assert rebuilt.notes == ()
    assert [cell.id for cell in rebuilt.notebook.cells] == [cell.id for cell in student.cells]
    assert "raise NotImplementedError()" in cell_of(rebuilt.notebook, "length").source
    assert cell_of(rebuilt.notebook, "length-negative").source == cell_of(template, "length-negative").source
    assert not any(cell.get("outputs") for cell in rebuilt.notebook.cells)


def test_the_reference_answer_and_the_explanation_are_never_there(template: NotebookNode, student: NotebookNode) -> None:
    student.cells = [cell for cell in student.cells if grade_id(cell) != "length"]
    rebuilt = rebuild(template, student)
    assert not any(
        "math.sqrt(x * x" in source or "squares take the signs" in source or "keeps the old" in source for source in sources(rebuilt)
    )
    assert found(rebuilt) == ["answer cell 'length' was deleted"]
    assert "raise NotImplementedError()" in cell_of(rebuilt.notebook, "length").source


def test_answers_come_by_name_and_nothing_else_of_their_cells_does(template: NotebookNode, student: NotebookNode) -> None:
    answer = cell_of(student, "double")
    answer.source, answer.outputs = "double = list", [{"output_type": "stream", "name": "stdout", "text": "30"}]
    answer.metadata = NotebookNode(
        tags=["skip-execution"], nbgrader={"grade_id": "double", "points": 1000, "grade": True, "solution": False}
    )
    cell_of(student, "double-why").source = "so that it stays"
    rebuilt = rebuild(template, student)
    assert cell_of(rebuilt.notebook, "double").source == "double = list"
    assert cell_of(rebuilt.notebook, "double").metadata == cell_of(template, "double").metadata
    assert cell_of(rebuilt.notebook, "double").outputs == []
    assert cell_of(rebuilt.notebook, "double-why").source == "so that it stays"
    assert rebuilt.notes == ()


def test_a_notebook_of_another_edition_is_named_and_not_blamed_for_what_the_course_changed(
    tmp_path: Path, template: NotebookNode, student: NotebookNode
) -> None:
    student = json.loads(json.dumps(student))
    student["metadata"]["course"]["edition"] = "0123456789ab"
    student["cells"] = [
        cell for cell in student["cells"] if cell["metadata"].get("nbgrader", {}).get("grade_id") not in ("double", "imports")
    ]
    (check,) = (cell for cell in student["cells"] if cell["metadata"].get("nbgrader", {}).get("grade_id") == "length-by-hand")
    check["source"] = "assert length(3, 4) == 5"
    submission = handed_in(tmp_path, template, student)
    ours = template.metadata["course"]["edition"]
    expected = [f"it was made from another edition of the chapter (0123456789ab, not {ours})", "answer cell 'double' is not in it"]
    assert found(rebuild(template, submission)) == expected


def test_another_edition_that_changed_nothing_but_text_is_no_remark(tmp_path: Path, template: NotebookNode, student: NotebookNode) -> None:
    data = json.loads(json.dumps(student))
    data["metadata"]["course"]["edition"] = "0123456789ab"
    data["cells"][0]["source"] = "# How long was an arrow?"
    submission = handed_in(tmp_path, template, data)
    assert rebuild(template, submission).notes == ()


@pytest.mark.parametrize("said", [None, "", "<script>", 3, ["0123456789ab"], "0123456789AB"])
def test_what_is_no_edition_is_none(tmp_path: Path, template: NotebookNode, student: NotebookNode, said: object) -> None:
    data = json.loads(json.dumps(student))
    data["metadata"]["course"]["edition"] = said
    submission = handed_in(tmp_path, template, data)
    assert rebuild(template, submission).notes == ()


def test_the_edition_changes_with_what_students_see_and_only_then(tmp_path: Path) -> None:
    def edition(old: str = "", new: str = "") -> str:
        source = tmp_path / "01_tiny.py"
        text = TINY_LESSON.read_text(encoding="utf-8")
        assert old in text
        source.write_text(text.replace(old, new, 1), encoding="utf-8")
        found: str = instructor_notebook(read(source)).metadata["course"]["edition"]
        return found

    assert edition() == edition("length(-5, 12) should", "the length should") == edition("math.sqrt(x * x + y * y)", "math.hypot(x, y)")
    assert edition() == edition("The squares take", "Squares take") == edition("# Adds the two", "# It adds the two")
    seen = {
        "# A lesson small": "# One small",
        "length(3, 4) should": "the length should",
        "import math": "import math, os",
        "points=3": "points=4",
    }
    assert len({edition(), *(edition(*change) for change in seen.items())}) == 1 + len(seen)


def test_changed_deleted_and_duplicated_checks_are_the_templates_again(template: NotebookNode, student: NotebookNode) -> None:
    cell_of(student, "length-by-hand").source = "print('passed')"
    cell_of(student, "imports").source = "import cmath as math"
    student.cells.append(NotebookNode(cell_of(student, "double-by-hand"), id="copy"))
    student.cells = [cell for cell in student.cells if grade_id(cell) != "length-negative"]
    rebuilt = rebuild(template, student)
    assert [grade_id(cell) for cell in rebuilt.notebook.cells] == [grade_id(cell) for cell in template.cells if "tags" not in cell.metadata]
    for name in ("length-by-hand", "length-negative", "double-by-hand", "imports"):
        assert cell_of(rebuilt.notebook, name).source == cell_of(template, name).source
    assert found(rebuilt) == [
        "setup cell 'imports' was changed",
        "check cell 'length-by-hand' was changed",
        "check cell 'length-negative' was deleted",
        "check cell 'double-by-hand' stands there 2 times",
    ]
    assert all(note.remedy for note in rebuilt.notes)


def test_added_code_cells_stay_in_order_after_the_cell_that_they_followed(template: NotebookNode, student: NotebookNode) -> None:
    student.cells.insert(0, new_code_cell("first = 1", metadata={"tags": ["skip-execution"]}))
    student.cells.insert(place(student, "length"), new_code_cell("before = 1"))
    student.cells[place(student, "length") + 1 : place(student, "length") + 1] = [
        new_code_cell("a = 1"),
        new_code_cell("b = 2"),
        new_markdown_cell("a note"),
    ]
    rebuilt = rebuild(template, student)
    at = place(rebuilt.notebook, "length")
    assert sources(rebuilt)[0] == "first = 1"
    assert sources(rebuilt)[at - 1] == "before = 1"
    assert sources(rebuilt)[at + 1 : at + 3] == ["a = 1", "b = 2"]
    assert grade_id(rebuilt.notebook.cells[at + 3]) == "length-by-hand"
    assert not any("tags" in cell.metadata for cell in rebuilt.notebook.cells if cell.source.endswith(("= 1", "= 2")))
    assert rebuilt.notes == ()


def test_of_two_answer_cells_the_last_counts_and_the_first_runs_as_an_added_cell(template: NotebookNode, student: NotebookNode) -> None:
    cell_of(student, "length").source = "helper = 2"
    student.cells.insert(place(student, "length-by-hand"), NotebookNode(cell_of(student, "length"), source="length = abs", id="copy"))
    rebuilt = rebuild(template, student)
    at = place(rebuilt.notebook, "length")
    assert sources(rebuilt)[at - 1 : at + 1] == ["helper = 2", "length = abs"]
    assert found(rebuilt) == ["answer cell 'length' stands there 2 times"]


def test_an_unchanged_demonstration_is_skipped_and_a_changed_one_runs(template: NotebookNode, student: NotebookNode) -> None:
    demonstration = "print(math.hypot(6.0, 8.0))"
    (skipped,) = (cell for cell in rebuild(template, student).notebook.cells if cell.source == demonstration)
    assert skipped.metadata.tags == [SKIP_TAG]
    next(cell for cell in student.cells if cell.source == demonstration).source = "print(math.hypot(8.0, 15.0))"
    changed = rebuild(template, student)
    assert demonstration not in sources(changed)
    (run,) = (cell for cell in changed.notebook.cells if cell.source == "print(math.hypot(8.0, 15.0))")
    assert "tags" not in run.metadata


def test_a_demonstration_that_an_answer_uses_is_run(template: NotebookNode, student: NotebookNode) -> None:
    for notebook in (template, student):
        for number, source in enumerate(["start = 5", "table = {3.0: start}", "other = 1"]):
            notebook.cells.insert(2, new_code_cell(source, id=f"{number}"))
    cell_of(student, "length").source = "def length(x, y):\n    return table[x]"
    tags = {cell.source: cell.metadata.get("tags") for cell in rebuild(template, student).notebook.cells}
    assert [tags["table = {3.0: start}"], tags["start = 5"], tags["other = 1"]] == [
        None,
        [SKIP_TAG],
        [SKIP_TAG],
    ]  # start stands below table
    template.cells[2:5], student.cells[2:5] = template.cells[4:1:-1], student.cells[4:1:-1]
    tags = {cell.source: cell.metadata.get("tags") for cell in rebuild(template, student).notebook.cells}
    assert [tags["start = 5"], tags["table = {3.0: start}"], tags["other = 1"]] == [None, None, [SKIP_TAG]]


def test_code_that_python_cannot_parse_is_graded_as_it_is(template: NotebookNode, student: NotebookNode) -> None:
    for source in ("def length(:", "%matplotlib inline", "x = '\0'", "(" * 500):
        cell_of(student, "length").source = source
        assert cell_of(rebuild(template, student).notebook, "length").source == source


def test_an_answer_that_became_text_is_code_again(template: NotebookNode, student: NotebookNode) -> None:
    student.cells[place(student, "double")] = new_markdown_cell("double = list", metadata=cell_of(student, "double").metadata)
    answer = cell_of(rebuild(template, student).notebook, "double")
    assert (answer.cell_type, answer.source) == ("code", "double = list")


def test_rebuilding_changes_neither_notebook_and_gives_the_same_again(template: NotebookNode, student: NotebookNode) -> None:
    student.cells.insert(0, new_code_cell("first = 1", id="x"))
    before = dumps(template), dumps(student)
    assert dumps(rebuild(template, student).notebook) == dumps(rebuild(template, student).notebook)
    assert (dumps(template), dumps(student)) == before


def test_points_belong_to_their_exercise_and_free_text_to_itself(template: NotebookNode) -> None:
    assert exercises(template) == {
        "length-by-hand": "length",
        "length-negative": "length",
        "double-by-hand": "double",
        "double-keeps": "double",
        "double-why": "double",
    }


def test_hidden_lines_are_those_between_the_markers(template: NotebookNode) -> None:
    lines = hidden_lines(template)
    assert "found = length(-5.0, 12.0)" in lines
    assert not any("by hand" in line for line in lines)


def test_blank_cells_are_what_nbgrader_releases(built: Course) -> None:
    chapter = built.chapters()[0]
    chapter.source.write_text(chapter.source.read_text(encoding="utf-8").replace(BEFORE, FREE_TEXT + BEFORE), encoding="utf-8")
    chapter.instructor.write_text(dumps(instructor_notebook(read(chapter.source))), encoding="utf-8")
    (path,) = release(built, [chapter], built.root / "released")
    released = {cell.id: cell.source for cell in load(path).cells}
    for cell in load(chapter.instructor).cells:
        if grade_id(cell):
            source = blank(cell) if cell.metadata.nbgrader.solution else cell.source
            assert without_hidden_tests(source) == released[cell.id]


def text(notebook: NotebookNode, change: Callable[[Any], Any] = lambda data: data) -> bytes:
    data = json.loads(dumps(notebook))
    return json.dumps(change(data) or data).encode()


# (what is handed in, made from a sound notebook's data, words of what is found)
MALFORMED = [
    ("not JSON", lambda _: None, "not JSON"),
    ("no object", lambda _: [1], "no notebook"),
    ("an object of another kind", lambda _: {"cells": []}, "no notebook"),
    ("format 3", lambda data: data | {"nbformat": 3}, "format 3"),
    ("format as a list", lambda data: data | {"nbformat": [4]}, "format [4]"),
    ("no cells", lambda data: data | {"cells": []}, "no cells"),
    ("cells as an object", lambda data: data | {"cells": {"a": 1}}, "no cells"),
    ("a cell that is a number", lambda data: data | {"cells": [1]}, "cell 1 is neither"),
    ("a cell of no known kind", lambda data: data | {"cells": [{"cell_type": ["code"], "source": ""}]}, "cell 1 is neither"),
    ("a source that is a number", lambda data: data | {"cells": [{"cell_type": "code", "source": 5}]}, "source of cell 1"),
    ("a source with a number in it", lambda data: data | {"cells": [{"cell_type": "code", "source": ["x", 5]}]}, "source of cell 1"),
    ("metadata as a list", lambda data: data | {"cells": [{"cell_type": "code", "source": "", "metadata": []}]}, "metadata of cell 1"),
    ("another chapter's notebook", lambda data: data | {"cells": [{"cell_type": "code", "source": "1", "metadata": {"nbgrader": {"grade_id": "softmax"}}}]}, "none of this chapter's"),
    ("strange nbgrader metadata", lambda data: data | {"cells": [{"cell_type": "code", "source": "1", "metadata": {"nbgrader": [{}]}}]}, "none of this chapter's"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words"), [case[1:] for case in MALFORMED], ids=[case[0] for case in MALFORMED])
def test_a_file_that_is_no_submission_is_a_note_with_a_remedy(
    tmp_path: Path, template: NotebookNode, student: NotebookNode, change: Callable[[Any], Any], words: str
) -> None:
    path = tmp_path / "01_tiny.ipynb"
    path.write_bytes(b'{"cells": [' if words == "not JSON" else text(student, change))
    note = read_submission(path, template)
    assert isinstance(note, Note)
    assert words in note.found
    assert note.remedy


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"[" * 100_000, b"\x00" * 50])
def test_bytes_that_are_no_text_are_a_note(tmp_path: Path, template: NotebookNode, content: bytes) -> None:
    path = tmp_path / "01_tiny.ipynb"
    path.write_bytes(content)
    assert isinstance(read_submission(path, template), Note)


def test_a_missing_a_linked_and_an_enormous_file_are_notes(tmp_path: Path, template: NotebookNode) -> None:
    path = tmp_path / "01_tiny.ipynb"
    note = read_submission(path, template)
    assert isinstance(note, Note)
    assert note.found == "no 01_tiny.ipynb in the folder"
    (tmp_path / "my version.ipynb").write_text("{}", encoding="utf-8")
    assert "rename" in getattr(read_submission(path, template), "remedy", "")
    path.symlink_to("/etc/passwd")
    assert "link" in getattr(read_submission(path, template), "found", "")
    path.unlink()
    path.write_bytes(b"")
    os.truncate(path, MAX_BYTES + 1)
    assert "MiB" in getattr(read_submission(path, template), "found", "")


@pytest.mark.parametrize("cells", [[("x = 1\n" * 2**18, "code")], [("", "markdown")] * 6000], ids=["code without end", "cells without end"])
def test_a_notebook_that_would_fill_the_memory_of_who_reads_it_cannot_be_graded(
    tmp_path: Path, template: NotebookNode, cells: list[tuple[str, str]]
) -> None:
    path = tmp_path / "01_tiny.ipynb"
    data = {"nbformat": 4, "cells": [{"cell_type": kind, "source": source} for source, kind in cells]}
    path.write_text(json.dumps(data), encoding="utf-8")
    note = read_submission(path, template)
    assert isinstance(note, Note)
    assert note.found == "the notebook has more than 5000 cells, or more than 1 MiB of text and code"


def test_sources_as_lists_lone_surrogates_and_cells_without_metadata_are_read(tmp_path: Path, template: NotebookNode) -> None:
    cells = [
        {"cell_type": "code", "source": ["length = ", "'\ud800'"], "metadata": {"nbgrader": {"grade_id": "length"}}},
        {"cell_type": "code", "source": "x = 1"},
        {"cell_type": "raw", "source": "y", "metadata": {}},
    ]
    path = tmp_path / "01_tiny.ipynb"
    path.write_text(
        json.dumps({"nbformat": 4, "nbformat_minor": 2, "cells": cells, "metadata": {"kernelspec": {"name": "ir"}}}), encoding="utf-8"
    )
    submission = read_submission(path, template)
    assert isinstance(submission, NotebookNode)
    rebuilt = rebuild(template, submission).notebook
    assert cell_of(rebuilt, "length").source == "length = '?'"
    assert rebuilt.metadata.kernelspec.name == "python3"
    assert "x = 1" in [cell.source for cell in rebuilt.cells]
    dumps(rebuilt).encode()
