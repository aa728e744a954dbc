"""What students and contributors write goes whole to its place or not at all: a full disk, a read-only folder, a name with everything in it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from grader import welcome
from grader.bundle import PROGRAM
from grader.course import Course
from grader.notebook import dumps, load
from grader.template import grade_id

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux") or not shutil.which("bwrap"), reason="bubblewrap makes the bad places")

NAME = 'Ann\'s "new" 课程 & more'
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
    before = contents(named)
    ran = grader(named, *arguments, place=place)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "cannot be written" in ran.stdout
    assert "remedy: make room on the disk, or make the folder writable" in ran.stdout.replace("\n", " ")
    assert "Traceback" not in ran.stdout + ran.stderr
    assert contents(named) == before


def contents(course: Course) -> dict[Path, bytes]:
    """Return every file but caches, and copies of what was there before."""
    files = [path for path in course.root.rglob("*") if path.is_file() and not {".grader", "backups"} & set(path.parts)]
    return {path: path.read_bytes() for path in files}


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
