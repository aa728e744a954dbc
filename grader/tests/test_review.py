"""What a graded class shows: its mistakes, the report, the pages of the students, pairs that resemble each other."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from grader import ledger
from grader.build import build
from grader.cli import app
from grader.course import CONFIG_NAME, Course
from grader.ledger.gradebook import gradebook
from grader.lesson import read
from grader.mutation.disguise import disguise
from grader.review import similarity
from grader.review.feedback import feedback
from grader.review.pages import LONGEST, code, page, prose, text
from grader.review.papers import Standing, read_class
from grader.review.report import Report, _json, report
from grader.review.statistics import figures
from grader.tests.conftest import ROOT, judged_course
from grader.tests.test_ledger import hand_in

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux") or not shutil.which("bwrap"), reason="the sandbox needs bubblewrap")

SUM = "def mean_of(values):\n    total = 0\n    for row in values:\n        total = total + row\n    return total"
TWICE = "def mean_of(x):\n    return x.mean(dim=0) * 2"
THRICE = "def mean_of(x):\n    # <script>alert(1)</script> \x1b[31m\n    doubled = x.mean(dim=0) + x.mean(dim=0)\n    return doubled"
HALF = "def root(n):\n    return int(n / 2)"
ENDLESS = "def root(n):\n    while True: pass"


class GradedClass(NamedTuple):
    course: Course
    report: Report
    pages: dict[str, str]


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> GradedClass:
    course = judged_course(tmp_path_factory.mktemp("course"))
    shutil.copy(ROOT / CONFIG_NAME, course.root)
    assert [result.error for result in build(course, course.chapters())] == [None]
    (chapter,) = course.chapters()
    right = {exercise.id: exercise.answer.source for exercise in read(chapter.source).exercises}
    for number in range(6):
        hand_in(course, f"right{number}", right)
    hand_in(course, "sum", right | {"mean": SUM})
    hand_in(course, "sum and half", right | {"mean": SUM, "root": HALF})
    hand_in(course, "twice", right | {"mean": TWICE})
    hand_in(course, "twice again", right | {"mean": THRICE})
    hand_in(course, "no python", right | {"mean": "def mean(x:\n"})
    hand_in(course, "ends", right | {"mean": "import os\nos._exit(3)"})
    hand_in(course, "blank", {})
    hand_in(course, "endless", right | {"root": ENDLESS})
    hand_in(course, "broken", {}).write_text("{", encoding="utf-8")
    for _ in ledger.grade(course, [chapter], ledger.Options(seconds=ledger.Seconds(check=1, cell=2))):
        pass
    with gradebook(course) as book:  # as formgrader does it
        sheet = book.find_submission_notebook(chapter.name, chapter.name, "sum")
        sheet.comments[0].manual_comment = "Nearly: <b>divide</b>"
        book.db.commit()
    (made,) = report(course, [chapter])
    pages = {path.parts[-3]: path.read_text(encoding="utf-8") for path in feedback(course, [chapter], explanations=True)}
    return GradedClass(course, made, pages)


def test_the_report_counts_the_mistakes_and_clusters_what_is_unknown(graded: GradedClass) -> None:
    found = graded.report.figures
    assert [(exercise.id, mistake.id, mistake.students) for exercise, mistake in found.mistakes] == [
        ("mean", "mean-sum", ("sum", "sum and half")),
        ("root", "root-half", ("sum and half",)),
    ]
    mean, root = found.exercises
    assert [cluster.students for cluster in mean.clusters] == [("twice", "twice again"), ("ends",), ("no python",)], (
        "alike to the checks, not to a person"
    )
    assert "SyntaxError" in mean.clusters[2].messages["mean"]
    assert mean.clusters[0].example == TWICE
    assert mean.standings == {"right": 7, "known mistake": 2, "other mistake": 4, "untouched": 1, "nothing could be run": 1}
    assert (root.standings["right"], root.standings["other mistake"]) == (11, 1)
    assert root.slowest is None or root.slowest[0] == "endless"
    assert found.students == 15
    assert sum(found.distribution) == 15
    assert {(notice.student, notice.found.partition(":")[0]) for notice in found.notices} >= {
        ("broken", "nothing could be run"),
        ("endless", "stopped at the time limit"),
        ("ends", "crashed"),
    }


def test_the_figures_are_those_of_the_marks(graded: GradedClass) -> None:
    (chapter,) = graded.course.chapters()
    sheets = ledger.sheets(graded.course, chapter)
    found = graded.report.figures
    assert found.mean == pytest.approx(sum(sheet.total for sheet in sheets) / len(sheets))
    mean = found.exercises[0]
    assert mean.difficulty == pytest.approx(sum(sheet.of("mean")[0] or 0 for sheet in sheets) / len(sheets) / mean.points)
    own = [sheet.of("mean")[0] or 0.0 for sheet in sheets]
    others = [sheet.total - points for sheet, points in zip(sheets, own, strict=True)]
    import numpy as np

    assert mean.discrimination == pytest.approx(np.corrcoef(own, others)[0, 1])


def test_the_report_is_one_page_that_asks_for_nothing_and_says_the_same_as_csv_and_json(graded: GradedClass) -> None:
    place = graded.report.page
    html = place.read_text(encoding="utf-8")
    assert "<script" not in html
    assert not re.search(r"""(src|href)=["'](?!#|01_judged-similarity)""", html)
    assert "default-src 'none'" in html
    data = json.loads(place.with_suffix(".json").read_text(encoding="utf-8"))
    assert data["exercises"][0]["mistakes"][0]["students"] == ["sum", "sum and half"]
    rows = list(csv.DictReader(io.StringIO(place.with_suffix(".csv").read_text(encoding="utf-8-sig"))))
    assert [(row["exercise"], row["mistake"], row["students"]) for row in rows if row["mistake"]][:1] == [
        ("mean", graded.report.figures.exercises[0].mistakes[0].headline, "2")
    ]
    assert data["pairs"] == [], "what the class has in common resembles nothing"
    students = place.with_name(f"{place.stem}-students.csv").read_text(encoding="utf-8-sig")
    lines = {row["student"]: row for row in csv.DictReader(io.StringIO(students))}
    assert {name: float(row["total"]) for name, row in lines.items()} == graded.report.figures.totals
    assert lines["sum"]["mean: mistake"] == graded.report.figures.exercises[0].mistakes[0].headline
    assert "stopped at the time limit" in lines["endless"]["to look at"]


def test_pairs_stand_in_the_json_too(graded: GradedClass) -> None:
    pair = similarity.Pair("ada", "bob", 600, 0.5, ())
    assert json.loads(_json(graded.report.figures, [pair]))["pairs"] == [
        {"students": ["ada", "bob"], "characters": 600, "share": 0.5, "exercises": []}
    ]


def test_feedback_explains_a_known_mistake_and_does_not_give_the_answer_away(graded: GradedClass) -> None:
    page = graded.pages["sum"]
    assert "What seems to go wrong" in page
    assert "Adds the rows up and does not divide." in page
    assert "A mean lies between the smallest and the largest" in page
    assert "Nearly: &lt;b&gt;divide&lt;/b&gt;" in page
    assert "Dimension 0 counts the rows." in page
    assert "What seems to go wrong" not in graded.pages["twice"]
    assert "a hidden message" in page, "the message of a hidden test is shown"
    for student, html in graded.pages.items():
        for line in ("expected_secret_value", "manual_seed(7)", "x.sum(dim=0) / 5"):
            assert line not in html, student


def test_every_page_has_the_points_and_nothing_in_it_acts(graded: GradedClass) -> None:
    (chapter,) = graded.course.chapters()
    for sheet in ledger.sheets(graded.course, chapter):
        assert f"<b>{sheet.total:g} of {sheet.possible:g}</b>" in graded.pages[sheet.student]
    assert "the file is not JSON" in graded.pages["broken"]
    assert "There is no answer." in graded.pages["blank"]
    assert "<script>alert" not in graded.pages["twice again"]
    assert "\x1b" not in graded.pages["twice again"]


def test_the_worked_explanation_is_there_only_if_it_is_asked_for(graded: GradedClass, tmp_path: Path) -> None:
    copy = Course(shutil.copytree(graded.course.root, tmp_path / "copy"))
    (page, *_) = feedback(copy, copy.chapters())
    assert "Dimension 0 counts the rows." not in page.read_text(encoding="utf-8")


def test_the_commands_say_what_they_did_and_what_comes_next(graded: GradedClass, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(graded.course.root)
    result = CliRunner().invoke(app, ["report", "01"])
    assert result.exit_code == 0, result.output
    assert CliRunner().invoke(app, ["feedback", "01"]).exit_code == 0


def test_a_class_that_nobody_graded_is_no_error_of_the_program(built: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(built.root)
    assert CliRunner().invoke(app, ["report"]).exit_code == 1
    assert list(feedback(built, built.chapters())) == []


def test_what_stock_nbgrader_graded_can_be_read_too(built: Course) -> None:
    hand_in(built, "wrong", {"length": "def length(x, y):\n    return x + y"})
    (chapter,) = built.chapters()
    for _ in ledger.grade(built, [chapter], ledger.Options(stock=True)):
        pass
    read_it = read_class(built, chapter)
    assert [answer.standing for answer in read_it.answers] == [Standing.OTHER, Standing.UNTOUCHED]
    assert figures(read_it).exercises[0].clusters == ()


def test_copies_are_found_however_they_are_laid_out_and_what_everybody_has_is_not(built: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    own = """def double(values):
    result, position = [], 0
    while position < len(values):
        number = values[position]
        if number >= 0:
            result.append(number + abs(number))
        else:
            result.append(-(abs(number) + abs(number)))
        position += 1
    return result
"""
    copied = disguise(own)
    assert copied != own
    monkeypatch.setattr(similarity, "LEAST", 50)  # it is but one answer
    for name, answer in (("author", own), ("copier", copied), ("third", "def double(values):\n    return [v * 2 for v in values]")):
        hand_in(built, name, {"double": answer})
    for _ in ledger.grade(built, built.chapters(), ledger.Options(workers=1)):
        pass
    (pair,) = similarity.similar(read_class(built, built.chapters()[0]))
    assert (pair.one, pair.other) == ("author", "copier")
    assert pair.share > similarity.SHARE
    assert "<mark>" in pair.shared[0].one
    monkeypatch.setattr(similarity, "SHARE", 2)
    monkeypatch.setattr(similarity, "NEARLY_ALL", 0.8)
    monkeypatch.setattr(similarity, "ENOUGH", 50)
    assert len(similarity.similar(read_class(built, built.chapters()[0]))) == 1, "nearly all of an exercise, whatever the rest"
    monkeypatch.setattr(similarity, "COMMON", 1)
    monkeypatch.setattr(similarity, "COMMON_SHARE", 0)
    assert similarity.similar(read_class(built, built.chapters()[0])) == [], "what more than one has is common now"


def test_texts_of_a_page() -> None:
    assert text("a\x1b[2Jb") == r"a\x1b[2Jb"
    assert len(text("x" * (LONGEST + 5))) < LONGEST + 50
    assert "<script" not in code("<script>")
    assert "<math" in prose("The sum $\\sum_i x_i^2$ of squares.")
    assert "<b>" not in prose("no <b>HTML</b>")
    assert "resemble" in page("similarity", title="T", pairs=[])
