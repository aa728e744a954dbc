"""What students and contributors write goes whole to its place or not at all: a full disk, a read-only folder, a name with everything in it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from grader import ledger, welcome
from grader.bundle import PROGRAM
from grader.course import Course
from grader.handed_in.roster import keep, read
from grader.notebook import dumps, load
from grader.template import grade_id
from grader.tests.conftest import contents
from grader.tests.test_ledger import hand_in

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux") or not shutil.which("bwrap"), reason="bubblewrap makes the bad places")

NAME = 'Ann\'s "new" 课程 & more'
ASIDE = (".grader", "backups")  # caches, and copies of what was there before
LENGTH = "def length(x, y):\n    return (x * x + y * y) ** 0.5"


@pytest.fixture
def named(built: Course) -> Course:
    """The tiny course, in a folder whose name needs care."""
    (built.root / "data").mkdir(exist_ok=True)
    for name in ("data/SHA256SUMS", "data/README.md", *PROGRAM):
        (built.root / name).touch()
    welcome.update(built)
    return Course(built.root.rename(built.root.with_name(NAME)))


def answer(course: Course, source: str) -> None:
    """Write an answer into the notebook."""
    (chapter,) = course.chapters()
    notebook = load(chapter.student)
    next(cell for cell in notebook.cells if grade_id(cell) == "length").source = source
    chapter.student.write_text(dumps(notebook), encoding="utf-8")


@pytest.fixture
def older(named: Course) -> Path:
    """A copy of the course, in which a student worked before."""
    old = Path(shutil.copytree(named.root, named.root.with_name("last year")))
    answer(Course(old), LENGTH)
    return old


def grader(course: Course, *arguments: str, place: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run a command in a course; `place` is what bubblewrap makes of the file system for it."""
    inside = ("bwrap", "--dev-bind", "/", "/", *place, "--chdir", str(course.root), "--") if place else ()
    command = [*inside, sys.executable, "-m", "grader", *arguments]
    return subprocess.run(command, cwd=course.root, capture_output=True, text=True, timeout=120, check=False)


def read_only(course: Course, folder: str) -> tuple[str, ...]:
    path = course.root / folder
    path.mkdir(parents=True, exist_ok=True)
    return ("--ro-bind", str(path), str(path))


def full(course: Course, folder: str) -> tuple[str, ...]:
    path = course.root / folder
    path.mkdir(parents=True, exist_ok=True)
    return ("--size", "4096", "--tmpfs", str(path), "--ro-bind", "/bin/true", str(path / "what fills it"))


WRITES = [
    ("hand-in", ("submit", "01")),
    ("backups", ("update", "--from", "../last year")),
    ("notebooks", ("update", "--from", "../last year")),
    ("dist", ("bundle",)),
    ("solutions", ("new", "27", "--title", "Graphs")),
]


@pytest.mark.parametrize(
    ("folder", "arguments", "bad"),
    [(*write, read_only) for write in WRITES] + [(*write, full) for write in WRITES if write[0] in ("hand-in", "backups", "dist")],
)
def test_where_nothing_can_be_written_the_command_says_so_and_leaves_nothing(
    named: Course, older: Path, folder: str, arguments: tuple[str, ...], bad: Callable[[Course, str], tuple[str, ...]]
) -> None:
    assert older.exists()
    place = bad(named, folder)
    before = contents(named.root, *ASIDE)
    ran = grader(named, *arguments, place=place)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "cannot be written" in ran.stdout
    assert "remedy: make room on the disk, or make the folder writable" in ran.stdout.replace("\n", " ")
    assert "Traceback" not in ran.stdout + ran.stderr
    assert contents(named.root, *ASIDE) == before


@pytest.mark.parametrize(("folder", "arguments"), [*WRITES, ("", ("progress",))])
def test_a_folder_whose_name_has_quotes_spaces_and_chinese_in_it_is_like_any_other(
    named: Course, older: Path, folder: str, arguments: tuple[str, ...]
) -> None:
    assert older.exists() or folder
    ran = grader(named, *arguments)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_progress_is_shown_where_nothing_can_be_kept(named: Course) -> None:
    answer(named, LENGTH)
    ran = grader(named, "progress", place=("--ro-bind", str(named.root), str(named.root)))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 of 2" in ran.stdout


@pytest.mark.parametrize(
    "arguments", [("progress", "99"), ("submit", "99"), ("watch", "99"), ("bundle", "99"), ("update", "--from", "nowhere")]
)
def test_what_is_not_there_is_said_with_a_remedy(named: Course, arguments: tuple[str, ...]) -> None:
    ran = grader(named, *arguments)
    assert ran.returncode == 1
    assert "remedy" in ran.stdout
    assert "Traceback" not in ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def graded_once(built_once: Course, tmp_path_factory: pytest.TempPathFactory) -> Course:
    """The tiny course with a class that is graded; only to be copied."""
    course = Course(shutil.copytree(built_once.root, tmp_path_factory.mktemp("graded") / NAME))
    (course.root / "data").mkdir(exist_ok=True)
    hand_in(course, "ada", {"length": LENGTH})
    (course.root / "grades.csv").write_text(
        "Student,ID,SIS User ID,SIS Login ID,Section\nAda,1,S1,ada,A\nBob,2,S2,bob,A\n", encoding="utf-8"
    )
    keep(course, read(course.root / "grades.csv"))
    with zipfile.ZipFile(course.root / "submissions.zip", "w") as archive:
        archive.writestr(f"bob_2_9001_{course.chapters()[0].name}.ipynb", course.chapters()[0].student.read_bytes())
    for _ in ledger.grade(course, course.chapters(), ledger.Options(workers=1)):
        pass
    return course


@pytest.fixture
def graded(graded_once: Course, tmp_path: Path) -> Course:
    return Course(shutil.copytree(graded_once.root, tmp_path / NAME))


TAUGHT = [
    ("gradebook/report", ("report",)),
    ("gradebook/feedback", ("feedback",)),
    ("gradebook/export", ("export", "01", "grades.csv")),
    ("gradebook/submitted", ("collect", "submissions.zip", "01")),
    ("dist", ("release", "01")),
]


@pytest.mark.parametrize(
    ("folder", "arguments", "bad"),
    [(*write, read_only) for write in TAUGHT] + [(*write, full) for write in TAUGHT[:2]],  # the other files are smaller than a page,
)
def test_an_instructor_is_told_too(
    graded: Course, folder: str, arguments: tuple[str, ...], bad: Callable[[Course, str], tuple[str, ...]]
) -> None:
    place = bad(graded, folder)
    before = contents(graded.root, *ASIDE)
    ran = grader(graded, *arguments, place=place)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "cannot be written" in ran.stdout
    assert "Traceback" not in ran.stdout + ran.stderr
    assert contents(graded.root, *ASIDE, "attempts") == before


@pytest.mark.parametrize("arguments", [("report",), ("feedback",), ("export", "01", "grades.csv")])
def test_where_nothing_is_graded_nothing_is_written(graded: Course, arguments: tuple[str, ...]) -> None:
    (graded.gradebook / "gradebook.db").unlink()
    (graded.gradebook / "report").mkdir()  # from another time
    before = contents(graded.root, *ASIDE)
    ran = grader(graded, *arguments)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "remedy: run `make grade`" in ran.stdout
    assert contents(graded.root, *ASIDE) == before


@pytest.mark.parametrize(
    "arguments", [("due", "01", "2026-11-30 23:59 +0100"), ("release", "01", "2026-11-30 23:59 +0100"), ("grade",), ("grade", "--dry-run")]
)
def test_a_gradebook_that_may_not_be_written_is_said(graded: Course, arguments: tuple[str, ...]) -> None:
    ran = grader(graded, *arguments, place=read_only(graded, "gradebook"))
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "cannot be written" in ran.stdout
    assert "remedy" in ran.stdout
    assert "Traceback" not in ran.stdout + ran.stderr


@pytest.mark.parametrize("arguments", [("due", "01", "2026-11-30 23:59 +0100"), ("grade", "--dry-run")])
def test_a_full_disk_is_said_where_a_gradebook_or_its_copy_is_made(graded: Course, arguments: tuple[str, ...]) -> None:
    database = graded.gradebook / "gradebook.db"
    if arguments[0] == "due":
        database.unlink()
    place = graded.gradebook if arguments[0] == "due" else graded.root / "temporary"
    place.mkdir(exist_ok=True)
    ran = grader(graded, *arguments, place=("--size", "8192", "--tmpfs", str(place), "--setenv", "TMPDIR", str(place)))
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "make room" in ran.stdout
    assert "Traceback" not in ran.stdout + ran.stderr


@pytest.mark.parametrize(("folder", "arguments"), [*TAUGHT, ("", ("due", "01", "2026-11-30 23:59 +0100")), ("", ("grade", "--dry-run"))])
def test_an_instructors_commands_work_in_any_folder(graded: Course, folder: str, arguments: tuple[str, ...]) -> None:
    ran = grader(graded, *arguments)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert not folder or any((graded.root / folder).iterdir())


@pytest.mark.parametrize("command", ["release", "collect", "grade", "report", "feedback", "export", "due"])
def test_each_command_of_an_instructor_shows_an_example(command: str) -> None:
    ran = subprocess.run([sys.executable, "-m", "grader", command, "--help"], capture_output=True, text=True, check=True)
    assert f"Example: grader {command}" in ran.stdout
