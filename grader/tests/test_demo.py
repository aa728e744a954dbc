"""The demo: a class of twelve, each with the marks that it must get."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from grader import demo_class, ledger
from grader.cli import app
from grader.course import Course
from grader.demo import differences, make_class, submissions
from grader.errors import LedgerError
from grader.lesson import read
from grader.notebook import load

STUDENTS = {
    "perfect": (5, 3),
    "other-way": (5, 3),
    "blank": (0, 0),
    "mistakes": (0, 1),
    "syntax-error": (0, 3),
    "endless-loop": (0, 3),
    "deleted-check": (5, 3),
    "duplicated-check": (5, 3),
    "stderr": (5, 3),
    "changed-check": (5, 0),
    "not-json": (0, 0),
    "no-notebook": (0, 0),
}


def test_the_demo_grades_a_class_of_twelve_and_every_mark_is_as_expected(
    built: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(built.root)
    monkeypatch.setattr("grader.cli.instructors.console", Console(file=io.StringIO(), width=140))
    result = CliRunner().invoke(app, ["demo", "--folder", str(tmp_path / "demo"), "--check-seconds", "1"])
    assert result.exit_code == 0, result.output
    copy = Course(tmp_path / "demo")
    (chapter,) = copy.chapters()
    sheets = ledger.sheets(copy, chapter)
    assert {sheet.student: tuple(sheet.of(exercise)[0] for exercise in sheet.exercises) for sheet in sheets} == STUDENTS
    assert not built.gradebook.exists()
    assert len(list(copy.gradebook.glob(f"feedback/*/{chapter.name}/{chapter.name}.html"))) == len(STUDENTS)
    with pytest.raises(LedgerError, match="choose another folder"):
        make_class(built, built.chapters(), copy.root)


def test_a_class_goes_from_canvas_to_canvas_and_a_mark_that_is_not_as_expected_is_told(
    built: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(built.root)
    monkeypatch.setattr("grader.cli.instructors.console", Console(file=io.StringIO(), width=140))
    result = CliRunner().invoke(app, ["demo-class", "01", "--students", "15", "--folder", str(tmp_path / "class")])
    assert result.exit_code == 0, result.output
    assert not built.gradebook.exists()
    copy = Course(tmp_path / "class")
    made = demo_class.make_class(built, built.chapters(), tmp_path / "again", 15)
    sheets = ledger.sheets(copy, copy.chapters()[0])
    assert list(demo_class.differences(made, "01_tiny", sheets)) == []
    made.papers["01_tiny"][0].points["length-by-hand"] += 1
    made.papers["01_tiny"][1].late = False
    assert len(list(demo_class.differences(made, "01_tiny", sheets))) == 3
    assert len(list(demo_class.differences(made, "01_tiny", sheets[1:]))) >= 1


def test_a_mark_that_is_not_as_expected_is_told(built: Course) -> None:
    chapter = built.chapters()[0]
    (perfect, *others) = submissions(read(chapter.source), load(chapter.student))
    marks = [ledger.Mark(check, check.partition("-")[0], 1.0, 1.0) for check in perfect.expected]
    sheet = ledger.Sheet(chapter.name, "perfect", tuple(marks))
    assert list(differences([perfect], [sheet])) == []
    assert "must be earned, but has 0.5 of 1" in next(
        differences([perfect], [replace(sheet, marks=(replace(marks[0], points=0.5), *marks[1:]))])
    )
    assert list(differences([perfect], [replace(sheet, marks=tuple(marks[1:]))])) == ["perfect: check 'length-by-hand' has no mark"]
    assert list(differences([others[0]], [sheet])) == ["other-way has no marks"]
    (blank,) = (submission for submission in others if submission.student == "blank")
    assert len(list(differences([blank], [replace(sheet, student="blank")]))) == len(marks)


def test_grade_and_feedback_are_commands_and_a_bad_submission_is_a_result(built: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(built.root)
    output = io.StringIO()
    monkeypatch.setattr("grader.cli.instructors.console", Console(file=output, width=140))
    for student, content in (("broken", "{"), ("right", load_text(built))):
        folder = built.gradebook / "submitted" / student / "01_tiny"
        folder.mkdir(parents=True)
        (folder / "01_tiny.ipynb").write_text(content, encoding="utf-8")
    graded, written = CliRunner().invoke(app, ["grade", "01"]), CliRunner().invoke(app, ["feedback"])
    assert (graded.exit_code, written.exit_code) == (0, 0), graded.output
    assert "broken: gradebook/submitted/broken/01_tiny/01_tiny.ipynb: the file is not JSON" in output.getvalue()
    assert "wrote 2 pages to gradebook/feedback" in output.getvalue()
    assert "01_tiny,right,length,0,5" in (built.gradebook / "marks.csv").read_text(encoding="utf-8")


def load_text(course: Course) -> str:
    return course.chapters()[0].student.read_text(encoding="utf-8")
