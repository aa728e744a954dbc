"""What students get works elsewhere, and tells no answer."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from grader.bundle import NAME, Bundle, bundle
from grader.check import secrets
from grader.course import Course
from grader.errors import GraderError
from grader.lesson import read
from grader.notebook import dumps, load
from grader.template import grade_id
from grader.tests.conftest import ROOT, edit

COURSE = Course(ROOT)
OURS = {"torch.set_grad_enabled(True)"}  # a line of the program, which a wrong answer happens to have too


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The archive of the whole course."""
    return bundle(COURSE, COURSE.chapters(), tmp_path_factory.mktemp("dist") / "course.zip")


@pytest.fixture(scope="module")
def unpacked(made: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive, unpacked where nothing else of the course is."""
    folder = tmp_path_factory.mktemp("a student's folder")
    with zipfile.ZipFile(made.path) as archive:
        archive.extractall(folder)
    return folder / NAME


def test_no_line_of_an_answer_or_a_hidden_test_is_in_it(unpacked: Path) -> None:
    """Its own notebook and every other file but the data: another chapter may well write the same line, and no answer is told by it."""
    texts = {path: path.read_text(encoding="utf-8") for path in unpacked.rglob("*") if path.is_file() and "data" not in path.parts}
    assert len(texts) > 80
    count = 0
    for chapter in COURSE.chapters():
        others = {one.student.name for one in COURSE.chapters()} - {chapter.student.name}
        seen = {path: text for path, text in texts.items() if path.name not in others}
        assert len(seen) == len(texts) - len(others)
        lines = secrets(read(chapter.source)).keys() - OURS
        count += len(lines)
        assert [(path.name, line) for path, text in seen.items() for line in lines if line in text] == []
    assert count > 3000
    assert not list(unpacked.rglob("solutions")) + list(unpacked.rglob("tests"))


def test_its_program_runs_there_and_every_visible_check_passes_with_the_right_answers(unpacked: Path) -> None:
    exercises = {chapter: read(chapter.source).exercises for chapter in COURSE.chapters()}
    for chapter, theirs in exercises.items():
        answers = {exercise.id: exercise.answer.source for exercise in theirs}
        path = unpacked / "notebooks" / chapter.name / f"{chapter.name}.ipynb"
        notebook = load(path)
        for cell in notebook.cells:
            cell.source = answers.get(grade_id(cell), cell.source)
        path.write_text(dumps(notebook), encoding="utf-8")
    for command in ("data", "progress"):
        program = [sys.executable, "-P", "-m", "grader", command]
        environment = {"PYTHONPATH": str(unpacked), "PATH": ""}
        done = subprocess.run(program, cwd=unpacked, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"(\d+) of (\d+)", done.stdout) == [(str(len(theirs)), str(len(theirs))) for theirs in exercises.values()]


def test_the_same_course_makes_the_same_archive(made: Bundle, tmp_path: Path) -> None:
    one = COURSE.chapters(["01"])
    paths = [bundle(COURSE, one, tmp_path / name).path for name in ("a.zip", "b.zip")]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with zipfile.ZipFile(paths[0]) as archive:
        names = [name for name in archive.namelist() if name.startswith(f"{NAME}/notebooks/")]
        assert names == [f"{NAME}/notebooks/{one[0].name}/{one[0].name}.ipynb", f"{NAME}/notebooks/welcome.ipynb"]
    assert sum(made.parts.values()) < made.path.stat().st_size < 1.01 * sum(made.parts.values()) + 2**16


def test_a_notebook_that_holds_answers_is_refused_and_nothing_is_written(built: Course, tmp_path: Path) -> None:
    (chapter,) = built.chapters()
    edit(chapter.student, "How long is an arrow?", "How long is my arrow?")
    with pytest.raises(GraderError, match=r"is not what the source says(.|\n)*remedy: run `make build"):
        bundle(built, [chapter], tmp_path / "x.zip")
    assert list(tmp_path.glob("x.zip*")) == []
