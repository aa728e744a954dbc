"""Grading on stock nbgrader: each of its traps as a submission, with the marks that it must get."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_output
from nbgrader.api import Gradebook
from nbgrader.converters import GenerateFeedback
from nbgrader.utils import determine_grade
from rich.console import Console
from typer.testing import CliRunner

from grader import ledger
from grader.cli import app
from grader.course import Chapter, Course
from grader.engine.fleet import Fleet
from grader.engine.plan import Plan, Task
from grader.errors import LedgerError
from grader.ledger.converters import convert, course_config, database, db_url
from grader.ledger.gradebook import gradebook, prepare
from grader.ledger.submissions import submitted
from grader.marks_print import show_problems, show_sheets, write_csv
from grader.notebook import dumps, load
from grader.template import grade_id
from grader.tests.conftest import TINY, edit
from grader.tests.test_template import BEFORE, FREE_TEXT

LENGTH, DOUBLE = (
    "import math\n\ndef length(x, y):\n    return math.hypot(x, y)\n",
    "def double(values):\n    return [2 * value for value in values]\n",
)
RIGHT = {"length": LENGTH, "double": DOUBLE}
WRONG = "def length(x, y):\n    return x + y\n"
SECONDS = ledger.Seconds(check=1, cell=2, submission=30)
STOCK, OWN = ledger.Options(seconds=SECONDS, stock=True), ledger.Options(seconds=SECONDS, workers=2)
ALL, NONE, FIRST, SECOND = (5, 3), (0, 0), (5, 0), (0, 3)
LINUX = sys.platform == "linux"

Change = Callable[[NotebookNode], None]


def added(source: str, after: str = "") -> Change:
    """Put a code cell at the top, or after the cell called `after`."""
    return lambda made: made.cells.insert([grade_id(cell) for cell in made.cells].index(after) + 1 if after else 0, new_code_cell(source))


def tagged(made: NotebookNode) -> None:
    for cell in made.cells:
        cell.metadata["tags"] = ["skip-execution"]


def other_kernel(made: NotebookNode) -> None:
    made.metadata.kernelspec = {"name": "ir", "display_name": "R", "language": "R"}


# (student, what it is, answers, what else is changed, points of the two exercises)
CLASS: list[tuple[str, str, dict[str, str], Change | None, tuple[float, float]]] = [
    ("right", "right answers", RIGHT, None, ALL),
    ("blank", "nothing answered", {}, None, NONE),
    ("Doe, Jr", "a name with a comma", RIGHT | {"length": WRONG}, None, SECOND),
    ("stderr", "a warning under every check", RIGHT, added("import sys\nget_ipython().events.register('post_run_cell', lambda *_: print('old', file=sys.stderr))"), ALL),
    ("skipped", "checks tagged to be skipped", {}, tagged, NONE),
    ("value", "a check whose last line has a value above its points", RIGHT, added("import builtins\nbuiltins.print = lambda *_: 1000"), ALL),
    ("erased", "outputs erased after a failed check", {"length": WRONG}, added("from IPython.display import clear_output\nget_ipython().events.register('post_run_cell', lambda *_: clear_output())"), NONE),
    ("shadow", "a statistics.py beside the notebook", RIGHT | {"length": f"import statistics\nstatistics.mean([1])\n{LENGTH}"}, None, ALL),
    ("environment", "an answer that looks around, for another kernel", RIGHT | {"length": f"import os, pathlib\nassert pathlib.Path(os.environ['COURSE_DATA'], 'numbers.txt').is_file()\nassert os.environ['MPLBACKEND'] == 'Agg' and os.environ['OMP_NUM_THREADS'] == '1'\nassert [path.name for path in pathlib.Path().iterdir()] == ['figure.txt']\n{LENGTH}"}, other_kernel, ALL),
    ("syntax", "a syntax error", RIGHT | {"length": "def length(x, y) return x"}, None, SECOND),
    ("loop", "an endless loop in one answer", RIGHT | {"length": "def length(x, y):\n    while True: pass"}, None, SECOND),
    ("recursion", "an endless recursion, whose traceback is long", RIGHT | {"length": "def length(x, y):\n    return length(x, y)"}, None, SECOND),
    ("stubborn", "an endless loop that will not be interrupted", RIGHT, added("import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass", "length-negative"), FIRST),
    ("exit", "exit() in an answer, and time for it to act", RIGHT | {"length": f"{LENGTH}\nexit()"}, added("import time\ntime.sleep(1)", "length"), ALL),
    ("crash", "a crash in the middle of a check", RIGHT | {"double": "def double(values):\n    import os\n    os._exit(0)"}, None, FIRST),
    ("parent", "its parent process killed", RIGHT, added("import os, signal\nos.kill(os.getppid(), signal.SIGKILL)", "double-keeps"), ALL),
    ("memory", "more memory than there is", RIGHT | {"length": f"{LENGTH}\nbytearray(20 * 2**30)"}, None, ALL),
    ("script", "a page that would run code", RIGHT | {"double": "def double(values):\n    raise ValueError('<script>alert(1)</script>')", "double-why": "so <script>alert(2)</script> [it](javascript:alert(3)) <img src=x onerror=alert(4)>"},
     added("from IPython.display import HTML, Javascript, display\ndisplay(HTML('<script>alert(5)</script>'), Javascript('alert(6)'))\ndisplay({'image/png': '\\'><script>alert(7)</script>', 'text/plain': 'a picture'}, raw=True)\nprint('<script>alert(8)</script>')"), FIRST),
    ("curious", "code that prints the hidden tests", RIGHT | {"length": "def length(x, y):\n    import linecache, sys\n    name = sys._getframe(1).f_code.co_filename\n    print(''.join(linecache.getlines(name)))\n    raise ValueError(''.join(linecache.getlines(name)))"}, None, SECOND),
]  # fmt: skip
NOTEBOOKS = {student: (answers, change) for student, _, answers, change, _ in CLASS}
MARKS = {student: marks for student, _, _, _, marks in CLASS}


def hand_in(course: Course, student: str, answers: dict[str, str], change: Change | None = None) -> Path:
    """Write the released notebook with `answers` and `change` to the student's folder."""
    chapter = course.chapters()[0]
    made = load(chapter.student)
    for cell in made.cells:
        cell.source = answers.get(grade_id(cell), cell.source)
    if change:
        change(made)
    path = submitted(course, chapter, student)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dumps(made), encoding="utf-8")
    return path


def grade(course: Course, options: ledger.Options = OWN) -> dict[str, list[ledger.Problem]]:
    return {graded.student: graded.problems for graded in ledger.grade(course, course.chapters(), options)}


def marks(course: Course) -> dict[str, tuple[float, ...]]:
    sheets = ledger.sheets(course, course.chapters()[0])
    return {
        sheet.student: tuple(sum(mark.points or 0 for mark in sheet.marks if mark.exercise == name) for name in ("length", "double"))
        for sheet in sheets
    }


def with_free_text(course: Course) -> None:
    """Add a question that is answered in words to the built chapter."""
    chapter = course.chapters()[0]
    edit(chapter.source, BEFORE, FREE_TEXT + BEFORE)
    rebuild_course(course)


def rebuild_course(course: Course) -> None:
    from grader.build import build

    assert [result.error for result in build(course, course.chapters())] == [None]


# Where the engine gives what the answers deserve, and stock nbgrader does not: it grades the rest again without the step that ended it.
BETTER = {"stubborn": ALL}


class GradedClass(NamedTuple):
    course: Course
    problems: dict[str, list[ledger.Problem]]
    own: bool  # by our engine


@pytest.fixture(scope="module", params=[STOCK, OWN], ids=["stock", "own"])
def graded(built_once: Course, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> GradedClass:
    """A whole class, graded once by each engine."""
    course = Course(shutil.copytree(built_once.root, tmp_path_factory.mktemp("class") / "course"))
    with_free_text(course)
    (course.root / "data").mkdir()
    (course.root / "data" / "numbers.txt").write_text("1\n", encoding="utf-8")
    (course.root / "solutions" / TINY / "figure.txt").write_text("a file of the course\n", encoding="utf-8")
    for student, (answers, change) in NOTEBOOKS.items():
        folder = hand_in(course, student, answers, change).parent
        (folder / "statistics.py").write_text("raise ImportError('a file of the student')\n", encoding="utf-8")
        (folder / "a-link").symlink_to("/nowhere")
    for student in ("not-json", "empty"):
        submitted(course, course.chapters()[0], student).parent.mkdir(parents=True)
    submitted(course, course.chapters()[0], "not-json").write_text("{", encoding="utf-8")
    submitted(course, course.chapters()[0], "right").with_name("timestamp.txt").write_text("tomorrow?", encoding="utf-8")
    return GradedClass(course, grade(course, request.param), own=request.param is OWN)


def found(graded: GradedClass, student: str) -> str:
    return "\n".join(problem.found for problem in graded.problems[student])


@pytest.mark.parametrize(("student", "expected"), MARKS.items(), ids=[what for _, what, _, _, _ in CLASS])
def test_every_submission_gets_its_marks(graded: GradedClass, student: str, expected: tuple[float, float]) -> None:
    if student == "memory" and not LINUX:
        pytest.skip("only Linux limits memory")
    assert marks(graded.course)[student] == (BETTER.get(student, expected) if graded.own else expected)


@pytest.mark.parametrize(
    ("student", "by_nbgrader", "by_engine"),
    [
        ("not-json", "not JSON", "not JSON"),
        ("empty", f"no {TINY}.ipynb", f"no {TINY}.ipynb"),
        (
            "loop",
            "stopped at the time limit: length-by-hand, length-negative",
            "stopped at the time limit: length-by-hand, length-negative",
        ),
        ("stubborn", "could not be interrupted", "stopped at the time limit: added-"),
        ("crash", "the kernel died in cell 'double-by-hand'", "its process ended in the middle"),
        ("right", "timestamp.txt holds no time: 'tomorrow?'", "timestamp.txt holds no time: 'tomorrow?'"),
    ],
)
def test_a_problem_is_told_with_student_file_and_remedy(graded: GradedClass, student: str, by_nbgrader: str, by_engine: str) -> None:
    course, problems, own = graded
    assert (by_engine if own else by_nbgrader) in found(graded, student)
    assert all(problem.remedy and problem.path == submitted(course, course.chapters()[0], student) for problem in problems[student])
    assert not any(problem.ungraded for problem in problems[student])


def test_a_file_that_cannot_be_read_and_a_missing_one_earn_nothing(graded: GradedClass) -> None:
    assert (marks(graded.course)["not-json"], marks(graded.course)["empty"]) == (NONE, NONE)


def test_what_needs_no_remark_gets_none(graded: GradedClass) -> None:
    for student in ("blank", "Doe, Jr", "stderr", "skipped", "value", "shadow", "environment", "syntax", "recursion", "parent"):
        assert found(graded, student) == ""


def test_the_message_of_a_failed_check_is_told(graded: GradedClass) -> None:
    sheets = {sheet.student: sheet for sheet in ledger.sheets(graded.course, graded.course.chapters()[0])}
    messages = {mark.cell: mark.message for mark in sheets["Doe, Jr"].marks}
    assert messages["length-by-hand"] == "AssertionError: length(3, 4) should be 5, got 7.0"
    assert messages["double-by-hand"] == ""
    assert sheets["syntax"].errors["length"].startswith("SyntaxError")
    assert ("ended in the middle" if graded.own else "did not run") in next(
        mark.message for mark in sheets["crash"].marks if mark.cell == "double-keeps"
    )


def test_free_text_waits_for_a_person_and_costs_nobody_who_left_it_out_a_look(graded: GradedClass) -> None:
    points = {
        sheet.student: mark.points
        for sheet in ledger.sheets(graded.course, graded.course.chapters()[0])
        for mark in sheet.marks
        if mark.cell == "double-why"
    }
    assert (points["script"], points["blank"]) == (None, 0)


def test_the_tables_name_everyone_and_every_problem(graded: GradedClass) -> None:
    course, problems, _ = graded
    console = Console(file=io.StringIO(), width=200)
    show_sheets(TINY, ledger.sheets(course, course.chapters()[0]), console)
    show_problems([problem for found in problems.values() for problem in found], course.root, console)
    assert isinstance(console.file, io.StringIO)
    printed = console.file.getvalue()
    assert all(student in printed for student in MARKS)
    assert "length-by-hand: AssertionError: length(3, 4) should be 5, got 7.0" in printed
    assert f"not-json: gradebook/submitted/not-json/{TINY}/{TINY}.ipynb: the file is not JSON" in printed


def test_marks_as_csv_are_quoted(graded: GradedClass, tmp_path: Path) -> None:
    write_csv(tmp_path / "marks.csv", ledger.sheets(graded.course, graded.course.chapters()[0]))
    with (tmp_path / "marks.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert {(row["student"], row["exercise"]): (row["points"], row["possible"]) for row in rows if row["student"] == "Doe, Jr"} == {
        ("Doe, Jr", "length"): ("0", "5"),
        ("Doe, Jr", "double"): ("3", "5"),
    }


@pytest.fixture(scope="module")
def pages(graded: GradedClass) -> dict[str, str]:
    """What nbgrader's own feedback shows of the class, as formgrader makes it."""
    (chapter,) = graded.course.chapters()
    config = course_config(graded.course)
    config.CourseDirectory.assignment_id = chapter.name
    assert not convert(GenerateFeedback, config)
    pages = graded.course.gradebook.glob(f"feedback/*/{chapter.name}/{chapter.name}.html")
    return {page.parts[-3]: page.read_text(encoding="utf-8") for page in pages}


def test_feedback_shows_answers_checks_points_and_messages(pages: dict[str, str]) -> None:
    page = pages["Doe, Jr"]
    assert "length(3, 4) should be 5, got 7.0" in page
    assert "length(-5, 12) should be 13, got 7.0: did you square both?" in page
    assert "Hidden tests (3 points) run here when you submit." in page
    assert "Score: 3.0 / 3.0" in page or "Score: 2.0 / 2.0" in page
    assert "passed: every number is doubled" in page


def test_no_line_of_a_hidden_test_is_in_any_feedback(pages: dict[str, str]) -> None:
    for student, page in pages.items():
        assert "HIDDEN TESTS" not in page, student
        text = "".join(page.split())
        for line in ("-5.0,12.0", "given=[1.0,-3.0]", "assertfound==13.0"):
            assert line not in text, student


def test_nothing_of_a_student_runs_in_the_browser(pages: dict[str, str]) -> None:
    page = pages["script"]
    assert page.count("alert(") > 3
    for number in range(1, 9):
        assert f"<script>alert({number})" not in page
    assert "<img src=x" not in page
    assert 'href="javascript' not in page
    assert "<script>" not in page.partition("<body")[2]


def test_grading_again_gives_the_same_marks_and_a_resubmission_its_own(built: Course) -> None:
    hand_in(built, "right", RIGHT)
    hand_in(built, "later", RIGHT)
    hand_in(built, "gone", RIGHT)
    hand_in(built, "worse", RIGHT)
    grade(built)
    before = marks(built)
    assert before == {"right": ALL, "later": ALL, "gone": ALL, "worse": ALL}

    def without_checks(made: NotebookNode) -> None:
        made.cells = [cell for cell in made.cells if not cell.metadata.get("nbgrader", {}).get("grade")]

    shutil.rmtree(submitted(built, built.chapters()[0], "gone").parent)
    hand_in(built, "later", RIGHT | {"length": WRONG}, without_checks)
    submitted(built, built.chapters()[0], "worse").write_text("{}", encoding="utf-8")
    with Gradebook(db_url(built), "deep-learning") as book:  # a person gives a point by hand
        book.find_grade("length-by-hand", TINY, TINY, "later").manual_score = 1
        book.db.commit()
    again = grade(built)
    assert marks(built) == {"right": ALL, "later": (1, 3), "gone": ALL, "worse": NONE}
    assert "no notebook" in again["worse"][0].found
    assert not (built.gradebook / "autograded" / "worse" / TINY).exists()
    assert list(again) == ["later", "right", "worse"]


def test_the_gradebook_follows_the_lesson_and_keeps_all_other_marks(built: Course) -> None:
    hand_in(built, "ada", RIGHT)
    hand_in(built, "gone", RIGHT)
    grade(built)
    source = built.chapters()[0].source
    with Gradebook(db_url(built), "deep-learning") as book:
        book.find_grade("double-keeps", TINY, TINY, "ada").manual_score = 1.5
        book.find_comment("double", TINY, TINY, "ada").manual_comment = "well done"
        book.db.commit()
    shutil.rmtree(built.gradebook / "submitted" / "gone")
    edit(source, "found = length(-5.0, 12.0)\nassert found == 13.0", "found = length(-5.0, 12.0)\nassert found == 14.0")  # stale: no more
    edit(source, '# %% check="length-by-hand" points=2\nfound', '# %% check="length-first" points=4\nfound')
    text = source.read_text(encoding="utf-8").replace("length-by-hand", "length-first").replace("(5 points)", "(7 points)")
    source.write_text(text, encoding="utf-8")
    built.chapters()[0].instructor.write_text(_instructor(built), encoding="utf-8")
    problems = grade(built)
    assert marks(built) == {"ada": (4, 2.5), "gone": (3, 3)}
    (note,) = problems["ada"]
    assert "made from another edition of the chapter" in note.found
    with Gradebook(db_url(built), "deep-learning") as book:
        assert book.find_comment("double", TINY, TINY, "ada").manual_comment == "well done"
        assert {cell.name: cell.max_score for cell in book.find_notebook(TINY, TINY).grade_cells} == {
            "length-first": 4,
            "length-negative": 3,
            "double-by-hand": 1,
            "double-keeps": 2,
        }


def _instructor(course: Course) -> str:
    from grader.lesson import read
    from grader.notebook import instructor_notebook

    return dumps(instructor_notebook(read(course.chapters()[0].source)))


def test_a_gradebook_of_another_nbgrader_is_refused_with_a_remedy(built: Course) -> None:
    hand_in(built, "ada", {})
    built.gradebook.mkdir(exist_ok=True)
    with closing(sqlite3.connect(database(built))) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES ('b6d005d67074')")
        connection.commit()
    before = database(built).read_bytes()
    with pytest.raises(LedgerError, match=r"schema b6d005d67074[^$]*remedy: .*nbgrader db upgrade"):
        grade(built)
    assert database(built).read_bytes() == before
    database(built).write_bytes(b"no database at all")
    with pytest.raises(LedgerError, match="no gradebook"):
        grade(built)


def test_a_fault_of_the_environment_is_no_students_zero(built: Course) -> None:
    hand_in(built, "ada", RIGHT)
    grade(built)
    chapter = built.chapters()[0]
    spoil_kernel(chapter)
    (problem,) = grade(built, STOCK)["ada"]
    assert problem.ungraded
    assert "No such kernel" in problem.found
    assert marks(built) == {"ada": ALL}


def spoil_kernel(chapter: Chapter) -> None:
    data = json.loads(chapter.instructor.read_bytes())
    data["metadata"]["kernelspec"]["name"] = "no-such-kernel"
    chapter.instructor.write_text(json.dumps(data), encoding="utf-8")


def test_without_a_sandbox_what_ends_stock_nbgrader_costs_nobody_else_a_mark(built: Course) -> None:
    killer = added("import os, signal\nos.kill(os.getppid(), signal.SIGKILL)", "double-keeps")
    hand_in(built, "killer", RIGHT, killer)
    hand_in(built, "right", RIGHT)
    problems = grade(built, replace(STOCK, sandboxed=False))
    assert marks(built) == {"killer": NONE, "right": ALL}
    assert "ended the process that graded it" in problems["killer"][0].found


def test_a_submission_that_takes_too_long_is_stopped(built: Course) -> None:
    hand_in(built, "slow", RIGHT, added("import time\ntime.sleep(30)"))
    (problem,) = grade(built, ledger.Options(seconds=ledger.Seconds(submission=3), stock=True))["slow"]
    assert problem.found == "it took longer than 3 s and was stopped"
    assert marks(built) == {"slow": NONE}


def test_without_submissions_the_place_for_them_is_told(built: Course) -> None:
    with pytest.raises(LedgerError, match=r"<student>/<chapter>/<chapter>\.ipynb"):
        grade(built)
    assert ledger.sheets(built, built.chapters()[0]) == []


def test_a_changed_check_is_the_only_one_that_is_asked_again(built: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, tuple[str, ...]] = {}
    honest = Fleet._submit

    def submit(fleet: Fleet, plan: Plan, task: Task) -> object:
        asked[task.key] = task.checks
        return honest(fleet, plan, task)

    monkeypatch.setattr(Fleet, "_submit", submit)
    hand_in(built, "ada", RIGHT)
    hand_in(built, "bob", RIGHT | {"double": "def double(values): return values"})
    grade(built)
    assert [len(checks) for checks in asked.values()] == [4, 4]
    asked.clear()
    edit(built.chapters()[0].source, "found = length(-5.0, 12.0)\nassert found == 13.0", "found = length(-5.0, 12.0)\nassert found == 14.0")
    built.chapters()[0].instructor.write_text(_instructor(built), encoding="utf-8")
    grade(built, replace(OWN, changed=True))
    assert asked == {"ada": ("length-negative",), "bob": ("length-negative",)}
    assert marks(built) == {"ada": (2, 3), "bob": (2, 0)}


def test_progress_for_machines_says_how_far_it_is(built: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(built.root)
    hand_in(built, "ada", RIGHT)
    submitted(built, built.chapters()[0], "bob").parent.mkdir(parents=True)
    submitted(built, built.chapters()[0], "bob").write_text("{", encoding="utf-8")
    lines = CliRunner().invoke(app, ["grade", "--json"]).stdout.splitlines()
    first, second, end = map(json.loads, lines)
    assert (first["student"], first["outcome"], first["problems"], first["done"], first["total"]) == ("ada", "graded", [], 1, 2)
    assert first["rate"] > 0
    assert first["seconds_left"] > 0
    assert (second["student"], second["outcome"], second["done"], second["seconds_left"]) == ("bob", "malformed", 2, 0)
    assert second["problems"][0]["found"].startswith("the file is not JSON")
    assert (end["event"], end["outcomes"]) == ("end", {"graded": 1, "malformed": 1})


def test_without_a_sandbox_every_run_says_what_it_risks_and_the_marks_say_it_too(built: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(built.root)
    hand_in(built, "ada", RIGHT)
    for _ in range(2):
        printed = CliRunner().invoke(app, ["grade", "--unsafe-no-sandbox"]).output
        assert "WITHOUT A SANDBOX: what students wrote runs with your rights" in printed
        assert "graded without a sandbox" in " ".join(printed.split())
    grade(built)
    assert marks(built) == {"ada": ALL}
    assert grade(built)["ada"] == []


def test_fifty_megabytes_of_pictures_are_graded_like_any_other(built: Course) -> None:
    picture = new_output("display_data", data={"image/png": "A" * 5 * 2**20})
    path = hand_in(built, "ada", RIGHT, lambda made: made.cells.insert(0, new_code_cell("1", outputs=[picture] * 10)))
    assert path.stat().st_size > 50 * 2**20
    assert grade(built)["ada"] == []
    assert marks(built) == {"ada": ALL}
    assert (built.gradebook / "autograded" / "ada" / TINY / f"{TINY}.ipynb").stat().st_size < 2**20


def test_a_name_that_nbgrader_cannot_look_for_is_a_problem_and_no_zero(built: Course) -> None:
    hand_in(built, "Ada [resit]", RIGHT)
    hand_in(built, "ada", RIGHT)
    problems = grade(built)
    assert [problem.ungraded for problem in problems["Ada [resit]"]] == [True]
    assert problems["Ada [resit]"][0].remedy.startswith("rename")
    assert marks(built) == {"ada": ALL}


def test_a_folder_of_no_chapter_is_a_problem(built: Course) -> None:
    hand_in(built, "ada", {})
    (built.gradebook / "submitted" / "ada" / "1_tiny").mkdir()
    (problem,) = ledger.strays(built)
    assert (problem.student, problem.found) == ("ada", "no chapter is called '1_tiny'")


def test_a_new_gradebook_is_as_nbgrader_itself_makes_it(built: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(built, [])
    with gradebook(built):
        pass
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)  # nbgrader starts `alembic` by name
    with Gradebook(f"sqlite:///{tmp_path / 'theirs.db'}", course_config(built).CourseDirectory.course_id):
        pass
    ours, theirs = (_everything(path) for path in (database(built), tmp_path / "theirs.db"))
    assert ours == theirs


def _everything(path: Path) -> list[object]:
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
        rows = [connection.execute(f"SELECT * FROM {name}").fetchall() for name, sql in tables if sql and sql.startswith("CREATE TABLE")]
    return [tables, rows]


# What nbgrader does that our own steps answer: where one of these fails, a step may have become needless.
@pytest.mark.parametrize(
    ("outputs", "points"),
    [
        ([], 3),
        ([new_output("stream", name="stderr", text="UserWarning")], 0),
        ([new_output("execute_result", data={"text/plain": "2"}, execution_count=1)], 2),
    ],
    ids=["no output earns all", "stderr earns nothing", "a value is partial credit"],
)
def test_nbgrader_still_has_the_habit_that_we_answer(outputs: list[NotebookNode], points: float) -> None:
    cell = new_code_cell("x", outputs=outputs, metadata={"nbgrader": {"grade": True, "solution": False, "points": 3, "grade_id": "x"}})
    assert determine_grade(cell) == (points, 3)
