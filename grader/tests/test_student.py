"""What a student does besides working: seeing how far they are, taking a newer edition, handing in."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from rich.console import Console

from grader.build import build
from grader.course import Course
from grader.errors import GraderError
from grader.notebook import dumps, load
from grader.student.cells import Kind, NotebookError, kind_of, needed, titles
from grader.student.edition import BACKUPS, UNDER_WAY, UpdateError, carry_over, from_folder, from_git
from grader.student.handin import HandInError, hand_in
from grader.student.progress import State, progress
from grader.student.progress_print import begun, draw, show
from grader.template import grade_id
from grader.tests.conftest import TINY, edit

LENGTH = "def length(x, y):\n    return (x * x + y * y) ** 0.5"
DOUBLE = "def double(values):\n    return [2 * v for v in values]"
LOOP = "def length(x, y):\n    while True: pass"


@pytest.fixture
def released(built: Course) -> NotebookNode:
    """The notebook that a student gets."""
    return load(built.chapters()[0].student)


def cell_of(notebook: NotebookNode, name: str) -> NotebookNode:
    cell: NotebookNode = next(cell for cell in notebook.cells if name in (grade_id(cell), cell.id))
    return cell


def answered(notebook: NotebookNode, **sources: str) -> NotebookNode:
    for name, source in sources.items():
        cell_of(notebook, name).source = source
    return notebook


def save(course: Course, notebook: NotebookNode) -> Path:
    path = course.chapters()[0].student
    path.write_text(dumps(notebook), encoding="utf-8")
    return path


def newer_edition(course: Course, *edits: tuple[str, str]) -> NotebookNode:
    """Return the notebook of the lesson with `edits`; the course is left as it is."""
    folder = course.root.parent / "newer"
    shutil.copytree(course.root, folder)
    newer = Course(folder)
    for old, new in edits:
        edit(newer.chapters()[0].source, old, new)
    assert [result.error for result in build(newer, newer.chapters())] == [None]
    return load(newer.chapters()[0].student)


# cells


def test_every_cell_is_known_for_what_it_is(released: NotebookNode) -> None:
    assert {kind_of(cell) for cell in released.cells} == {Kind.ANSWER, Kind.LOCKED, Kind.RELEASED}
    released.cells[0].source += "\nmy remark"
    released.cells.append(new_code_cell("x = 1"))
    assert [kind_of(released.cells[0]), kind_of(released.cells[-1])] == [Kind.EDITED, Kind.ADDED]
    assert titles(released)["double"] == "Exercise 2: doubling (3 points)"


def test_of_added_cells_only_those_are_run_whose_names_an_answer_reads(released: NotebookNode) -> None:
    answered(released, length="def length(x, y):\n    return helper(x, y)")
    released.cells[1:1] = [new_code_cell("import time\ntime.sleep(1000)"), new_code_cell("def helper(x, y): return root(x * x + y * y)")]
    released.cells.insert(2, new_code_cell("root = math.sqrt"))
    sources = [cell.source for cell in needed(released)]
    assert [source for source in sources if "helper(x, y): return" in source or "root =" in source] == [
        "root = math.sqrt",
        "def helper(x, y): return root(x * x + y * y)",
    ]
    assert not any("sleep" in source or "Hidden tests" in source for source in sources)


# progress


def states(course: Course) -> dict[str, str]:
    (found,) = progress(course, course.released())
    return {standing.exercise: str(standing.state) for standing in found.standings}


def test_progress_tells_untouched_failing_and_passing_apart(built: Course, released: NotebookNode) -> None:
    assert states(built) == {"length": "untouched", "double": "untouched"}
    save(built, answered(released, length=LENGTH, double="def double(values):\n    return values"))
    assert states(built) == {"length": "passing", "double": "failing"}
    (found,) = progress(built, built.released())
    assert found.standings[1].message == "AssertionError: double([1, 2.5]) should be [2, 5], got [1.0, 2.5]"
    console = Console(file=io.StringIO(), width=100)
    show([found], console, details=True)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "1 of 2" in printed
    assert "failing    Exercise 2: doubling (3 points)" in printed
    assert "should be [2, 5], got [1.0, 2.5]" in printed
    draw([found], built.root / "progress.png")
    assert list(begun([found])) == ["01 How long is an arrow?: 1 of 2 exercises pass, 1 fail"]
    assert (built.root / "progress.png").read_bytes().startswith(b"\x89PNG")


def test_a_failing_check_says_where_to_read_again(built: Course) -> None:
    chapter = built.chapters()[0]
    edit(chapter.source, "# ### Exercise 2: doubling", "# ## Twice as long\n#\n# ### Exercise 2: doubling")
    assert [result.error for result in build(built, [chapter])] == [None]
    save(built, answered(load(chapter.student), length=LENGTH, double="def double(values):\n    return values"))
    found = list(progress(built, built.released()))
    console = Console(file=io.StringIO(), width=100)
    show(found, console, details=True)
    assert "to read again: Twice as long" in console.file.getvalue()  # type: ignore[attr-defined]


def test_progress_runs_again_only_what_has_changed(built: Course, released: NotebookNode, monkeypatch: pytest.MonkeyPatch) -> None:
    save(built, answered(released, length=LENGTH))
    assert states(built) == {"length": "passing", "double": "untouched"}
    monkeypatch.setattr("grader.student.progress.NotebookClient", None)  # nothing may be run now
    assert states(built) == {"length": "passing", "double": "untouched"}
    save(built, answered(released, length=LENGTH + "  # better"))
    with pytest.raises(TypeError):
        states(built)


def test_answers_that_crash_or_never_end_fail_and_the_others_count(
    built: Course, released: NotebookNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grader.student.progress.CELL_SECONDS", 2)
    save(built, answered(released, length=LOOP, double=DOUBLE))
    (found,) = progress(built, built.released())
    assert [standing.state for standing in found.standings] == [State.FAILING, State.PASSING]
    assert "look for an endless loop" in found.standings[0].message
    save(built, answered(released, length="import os\nos._exit(1)", double=DOUBLE))
    (found,) = progress(built, built.released())
    assert [standing.message for standing in found.standings] == ["it did not run: an answer above ended the kernel"] * 2


def test_a_setup_cell_that_fails_is_named_with_what_fails_after_it(built: Course, released: NotebookNode) -> None:
    changed = answered(released, length=LENGTH.replace("(x * x + y * y) ** 0.5", "math.hypot(x, y)"), double=DOUBLE)
    next(cell for cell in changed.cells if grade_id(cell) == "imports").source = "import maths"
    save(built, changed)
    (found,) = progress(built, built.released())
    setup = "(before it, the setup cell 'imports' fails: ModuleNotFoundError: No module named 'maths')"
    assert [standing.message for standing in found.standings] == [f"NameError: name 'math' is not defined {setup}", ""]


def test_a_notebook_that_cannot_be_read_is_a_problem_of_its_chapter(built: Course) -> None:
    built.chapters()[0].student.write_text("{")
    (found,) = progress(built, built.released())
    assert "not a notebook" in found.problem
    assert "remedy: save it in JupyterLab again" in found.problem


def test_metadata_that_say_nothing_make_a_cell_one_of_the_students(built: Course, released: NotebookNode) -> None:
    odd = new_code_cell("1 / 0", metadata={"nbgrader": None})
    save(built, NotebookNode({**released, "cells": [odd, *released.cells]}))
    assert states(built) == {"length": "untouched", "double": "untouched"}


def test_a_picture_of_an_unknown_kind_is_refused(built: Course) -> None:
    with pytest.raises(GraderError, match=r"a picture cannot be written as 'doc'\n    remedy: name it .png"):
        draw(list(progress(built, built.released())), built.root / "progress.doc")
    assert not (built.root / "progress.doc").exists()


# a newer edition


def carried(mine: NotebookNode, newer: NotebookNode) -> tuple[list[str], list[str]]:
    made, notes = carry_over(mine, newer)
    assert len({cell.id for cell in made.cells}) == len(made.cells)
    return [cell.source for cell in made.cells], notes


def test_the_same_edition_changes_nothing_and_keeps_outputs(released: NotebookNode) -> None:
    mine = answered(load_copy(released), length=LENGTH)
    check = cell_of(mine, "length-by-hand")
    check.outputs, check.execution_count = [new_output("stream", text="passed")], 7
    made, notes = carry_over(mine, released)
    assert dumps(made) == dumps(mine)
    assert notes == []


def load_copy(notebook: NotebookNode) -> NotebookNode:
    made: NotebookNode = deepcopy(notebook)
    return made


def test_a_reworded_statement_comes_with_the_answer_below_it(built: Course, released: NotebookNode) -> None:
    newer = newer_edition(built, ("Write `length(x, y)`, the length of the arrow", "Let `length(x, y)` be how long the arrow is,"))
    sources, notes = carried(answered(released, length=LENGTH), newer)
    assert any("how long the arrow is" in source for source in sources)
    assert LENGTH in sources
    assert not any("Write `length(x, y)`, the length" in source for source in sources)
    assert notes == []


def test_a_renamed_exercise_keeps_its_answer(built: Course, released: NotebookNode) -> None:
    source = built.chapters()[0].source.read_text()
    newer = newer_edition(built, *[(line, line.replace('"length', '"size')) for line in source.splitlines() if '="length' in line and "fails" not in line], *[
        (line, line.replace("length-", "size-")) for line in source.splitlines() if "fails" in line and "length-" in line
    ])  # fmt: skip
    sources, notes = carried(answered(released, length=LENGTH), newer)
    assert LENGTH in sources
    assert notes == ["exercise 'length' is called 'size' now: your answer is there"]


def test_added_and_removed_checks_are_said(built: Course, released: NotebookNode) -> None:
    newer = newer_edition(
        built,
        ('# %% check="double-by-hand" points=1', '# %% check="double-example" points=1'),
        ('fails="double-by-hand double-keeps"', 'fails="double-example double-keeps"'),
    )
    _, notes = carried(answered(load_copy(released), double=DOUBLE), newer)
    assert notes == ["exercise 'double' has new checks: double-example", "exercise 'double' has lost checks: double-by-hand"]
    assert carry_over(released, newer)[1] == []  # whoever has not begun need not know


def test_an_exercise_that_is_gone_leaves_its_answer_as_text(released: NotebookNode) -> None:
    newer = load_copy(released)
    newer.cells = [cell for cell in newer.cells if not grade_id(cell).startswith("double")]
    sources, notes = carried(answered(released, double=DOUBLE + "\n# ```"), newer)
    (text,) = [source for source in sources if DOUBLE in source]
    assert text.startswith("Your answer to the exercise `double`, which this edition does not have:\n\n````python\n")
    assert notes == ["exercise 'double' is no longer there: your answer is kept as text at its place"]


def test_added_cells_follow_the_cell_that_they_followed_in_a_chapter_in_another_order(released: NotebookNode) -> None:
    newer = load_copy(released)
    names = [grade_id(cell) for cell in newer.cells]
    first, second = names.index("length") - 1, names.index("double") - 1
    newer.cells = newer.cells[:first] + newer.cells[second:-2] + newer.cells[first:second] + newer.cells[-2:]
    mine = answered(released, length="def length(x, y):\n    return helper(x, y)")
    mine.cells.insert(names.index("length"), new_code_cell("def helper(x, y): return 5.0"))
    mine.cells.insert(0, new_markdown_cell("my own heading"))
    made, notes = carry_over(mine, newer)
    sources = [cell.source for cell in made.cells]
    assert sources[0] == "my own heading"
    place = sources.index("def helper(x, y): return 5.0")
    assert sources[place - 1].startswith("### Exercise 1")
    assert sources[place + 1] == "def length(x, y):\n    return helper(x, y)"
    assert sources.index("### Exercise 2: doubling (3 points)\n\nWrite `double(values)`, a new list with every number doubled.") < place
    assert notes == []


def test_edited_text_duplicated_answers_and_changed_checks_are_kept_and_said(released: NotebookNode) -> None:
    newer = load_copy(released)
    mine = answered(released, length=LENGTH)
    mine.cells[0].source += "\nmy remark"
    cell_of(mine, "length-by-hand").source = "print('passed')"
    place = [grade_id(cell) for cell in mine.cells].index("length")
    copy = NotebookNode({**mine.cells[place], "source": "def length(x, y):\n    return 0", "id": "copy"})
    mine.cells.insert(place, copy)
    made, notes = carry_over(mine, newer)
    sources = [cell.source for cell in made.cells]
    assert sources[1].endswith("my remark")
    assert "def length(x, y):\n    return 0" in sources
    assert cell_of(made, "length").source == LENGTH
    assert "print('passed')" not in sources
    assert notes == [
        "you changed a text or a demonstration of ours: your version stands below the new one",
        "you changed 'length-by-hand', a cell of the course: the course's stands there again",
    ]


def test_two_answers_to_one_exercise_are_both_kept(released: NotebookNode) -> None:
    newer = answered(load_copy(released), length=LENGTH)
    sources, notes = carried(answered(released, length="def length(x, y):\n    return 1"), newer)
    assert LENGTH in sources
    assert any("Your other answer" in source and "return 1" in source for source in sources)
    assert notes == ["exercise 'length' has two answers of yours: the one here stands, the other is kept as text below it"]


def test_work_in_another_folder_is_taken_over_and_stays_there(built: Course, released: NotebookNode) -> None:
    old = Course(Path(shutil.copytree(built.root, built.root.parent / "two words, 旧")))
    path = save(old, answered(released, length=LENGTH))
    before = path.read_bytes()
    (updated,) = from_folder(built, old.root)
    assert (updated.chapter, updated.notes) == (TINY, [])
    assert cell_of(load(built.chapters()[0].student), "length").source == LENGTH
    assert path.read_bytes() == before
    taken = built.chapters()[0].student.read_bytes()
    list(from_folder(built, old.root))
    assert built.chapters()[0].student.read_bytes() == taken
    with pytest.raises(UpdateError, match="no other copy of the course\n    remedy: name the folder"):
        list(from_folder(built, built.root))


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def clone(built: Course, tmp_path: Path) -> tuple[Course, Course]:
    """The course in a repository, and a student's clone of it."""
    (built.root / ".gitignore").write_text("backups/\n")
    git(built.root, "init")
    git(built.root, "add", ".")
    git(built.root, "commit", "-m", "first")
    git(tmp_path, "clone", str(built.root), "mine")
    return built, Course(tmp_path / "mine")


def publish(course: Course) -> None:
    edit(course.chapters()[0].source, "Write `length(x, y)`, the length", "Let `length(x, y)` be the length")
    assert [result.error for result in build(course, course.chapters())] == [None]
    git(course.root, "commit", "-am", "second")


def test_git_brings_the_new_edition_and_the_work_with_it(clone: tuple[Course, Course], released: NotebookNode) -> None:
    upstream, mine = clone
    path = save(mine, answered(released, length=LENGTH))
    before = path.read_bytes()
    assert list(from_git(mine)) == []
    publish(upstream)
    (updated,) = from_git(mine)
    assert updated.chapter == TINY
    text = path.read_text()
    assert "Let `length(x, y)` be the length" in text
    assert cell_of(load(path), "length").source == LENGTH
    (copy,) = (mine.root / BACKUPS).rglob("*.ipynb")
    assert copy.read_bytes() == before
    assert list(mine.root.rglob(UNDER_WAY)) == []
    assert list(from_git(mine)) == []


def test_where_git_cannot_merge_everything_stays_as_it_was(clone: tuple[Course, Course], released: NotebookNode) -> None:
    upstream, mine = clone
    publish(upstream)
    edit(mine.chapters()[0].source, "# ## What we saw", "# ## What I saw")
    git(mine.root, "commit", "-am", "my own")
    path = save(mine, answered(released, length=LENGTH))
    before = path.read_bytes()
    with pytest.raises(UpdateError, match=r"git merge: .*\n    remedy: see what git says"):
        list(from_git(mine))
    assert path.read_bytes() == before


def killed_while_it_updates(mine: Course) -> None:
    program = (
        "import os, sys; from pathlib import Path; from grader.course import Course; from grader.student import edition;"
        "edition._bring_all = lambda *_: os._exit(9); list(edition.from_git(Course(Path(sys.argv[1]))))"
    )
    assert subprocess.run([sys.executable, "-c", program, str(mine.root)], check=False).returncode == 9


def test_an_update_that_was_killed_is_taken_up_by_the_next(clone: tuple[Course, Course], released: NotebookNode) -> None:
    upstream, mine = clone
    publish(upstream)
    path = save(mine, answered(released, length=LENGTH))
    killed_while_it_updates(mine)
    assert cell_of(load(path), "length").source != LENGTH
    assert [updated.chapter for updated in from_git(mine)] == [TINY]
    assert cell_of(load(path), "length").source == LENGTH
    assert "Let `length(x, y)` be the length" in path.read_text()
    assert list(mine.root.rglob(UNDER_WAY)) == []


def test_what_was_written_after_an_update_was_killed_is_kept(clone: tuple[Course, Course], released: NotebookNode) -> None:
    upstream, mine = clone
    publish(upstream)
    path = save(mine, answered(load_copy(released), length=LENGTH))
    killed_while_it_updates(mine)
    later = save(mine, answered(load(path), double=DOUBLE)).read_bytes()
    notes = [note for updated in from_git(mine) for note in updated.notes]
    (copy,) = (copy for copy in (mine.root / BACKUPS).rglob("*.ipynb") if copy.read_bytes() == later)
    assert any("an update was interrupted" in note and str(copy) in note for note in notes)
    assert cell_of(load(path), "length").source == LENGTH


def test_an_update_that_is_interrupted_leaves_the_work_in_place_and_the_next_takes_it_up(
    clone: tuple[Course, Course], released: NotebookNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream, mine = clone
    publish(upstream)
    path = save(mine, answered(load_copy(released), length=LENGTH))
    before = path.read_bytes()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("grader.student.edition._bring_all", interrupted)
        list(from_git(mine))
    assert path.read_bytes() == before
    save(mine, answered(load(path), double=DOUBLE))
    assert [updated.chapter for updated in from_git(mine)] == [TINY]
    assert [cell_of(load(path), name).source for name in ("length", "double")] == [LENGTH, DOUBLE]
    assert "Let `length(x, y)` be the length" in path.read_text()


def test_in_a_folder_of_another_repository_nothing_is_touched(built: Course, released: NotebookNode) -> None:
    path = save(built, answered(released, length=LENGTH))
    before = path.read_bytes()
    git(built.root.parent, "init")
    git(built.root.parent, "add", ".")
    git(built.root.parent, "commit", "-m", "all of mine")
    path.write_bytes(before + b"\n")
    with pytest.raises(UpdateError, match=r"no clone of the course, .*\n    remedy: get the new edition into another folder"):
        list(from_git(built))
    assert path.read_bytes() == before + b"\n"


def test_what_was_written_on_the_courses_own_page_is_said_to_be_in_the_backup(clone: tuple[Course, Course], released: NotebookNode) -> None:
    upstream, mine = clone
    (upstream.root / "notebooks" / "welcome.ipynb").write_text(dumps(released), encoding="utf-8")
    git(upstream.root, "add", ".")
    publish(upstream)
    list(from_git(mine))
    page = mine.root / "notebooks" / "welcome.ipynb"
    released.cells[0].source += "\nmy remark"
    page.write_text(dumps(released), encoding="utf-8")
    git(upstream.root, "commit", "--allow-empty", "-m", "third")
    (updated,) = from_git(mine)
    assert updated.chapter == "welcome"
    assert "what you wrote there is in" in updated.notes[0]


def test_a_notebook_without_ids_of_cells_comes_over_as_it_is(released: NotebookNode) -> None:
    mine = answered(load_copy(released), length=LENGTH)
    mine.nbformat_minor = 4
    for cell in mine.cells:
        del cell["id"]
    made, notes = carry_over(mine, released)
    assert [cell.source for cell in made.cells] == [cell.source for cell in mine.cells]
    assert notes == []


def test_taking_work_over_again_adds_nothing(released: NotebookNode) -> None:
    mine = answered(load_copy(released), length=LENGTH)
    mine.cells.insert(0, new_markdown_cell("my own heading"))
    mine.cells[1].source += "\nmy remark"
    other = answered(load_copy(released), length="def length(x, y):\n    return 1")
    made, _ = carry_over(mine, other)
    again, _ = carry_over(mine, made)
    assert dumps(again) == dumps(made)


# handing in


def test_what_is_handed_in_is_the_notebook_byte_for_byte_with_a_receipt(built: Course, released: NotebookNode) -> None:
    path = save(built, answered(released, length=LENGTH))
    made = hand_in(built, built.released()[0])
    assert made.file.read_bytes() == path.read_bytes()
    assert made.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    receipt = made.receipt.read_text()
    assert made.digest in receipt
    assert "passing    length" in receipt
    assert "untouched  double" in receipt


def without(name: str) -> Callable[[NotebookNode], str]:
    return lambda made: dumps(NotebookNode({**made, "cells": [cell for cell in made.cells if grade_id(cell) != name]}))


def of_chapter(name: str) -> Callable[[NotebookNode], str]:
    return lambda made: dumps(NotebookNode({**made, "metadata": {**made.metadata, "course": {"chapter": name}}}))


REFUSED: list[tuple[str, Callable[[NotebookNode], str], str]] = [
    ("an answer cell is missing", without("double"), r"answer cells are missing: double\n    remedy: in JupyterLab, undo the deletion"),
    ("another chapter's", of_chapter("02_tensors"), r"this is the notebook of 02_tensors\n    remedy: work in the notebook of 01_tiny"),
    ("not JSON", lambda _: '{"cells": [', r"not a notebook: .*\n    remedy: save it in JupyterLab again"),
    ("no notebook", lambda _: "[1]", r"the file is JSON, but no notebook\n    remedy: save it in JupyterLab again"),
    ("format 3", lambda made: json.dumps({**made, "nbformat": 3}), r"the notebook has format 3, not 4"),
    ("a cell of no kind", lambda made: json.dumps({**made, "cells": [{}]}), r"cell 1 is neither code nor text"),
    ("a cell without source", lambda made: json.dumps({**made, "cells": [{"cell_type": "code"}]}), r"the source of cell 1 is no text"),
]


@pytest.mark.parametrize(("change", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_cannot_be_handed_in_is_refused_with_the_remedy_and_nothing_is_written(
    built: Course, released: NotebookNode, change: Callable[[NotebookNode], str], words: str
) -> None:
    built.released()[0].student.write_text(change(released), encoding="utf-8")
    with pytest.raises((HandInError, NotebookError), match=words):
        hand_in(built, built.released()[0])
    assert not (built.root / "hand-in").exists()


def test_a_notebook_that_is_missing_is_refused(built: Course) -> None:
    (chapter,) = built.released()
    chapter.student.unlink()
    with pytest.raises(NotebookError, match=r"missing\n    remedy: `make update` brings it back"):
        hand_in(built, chapter)
