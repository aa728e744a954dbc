"""Due dates, what lateness costs, extra time; the best of several attempts; marks that would change, told before they do."""

from __future__ import annotations

import shutil
import sys
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from grader import ledger
from grader.cli import app
from grader.course import Course
from grader.errors import LedgerError
from grader.handed_in import collect, roster
from grader.handed_in.archives import files
from grader.ledger import lateness
from grader.ledger.gradebook import gradebook
from grader.ledger.submissions import TIMESTAMP, attempts_folder
from grader.tests.conftest import TINY, contents, edit
from grader.tests.test_ledger import OWN, RIGHT, WRONG, grade, hand_in, rebuild_course

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux") or not shutil.which("bwrap"), reason="the sandbox needs bubblewrap")


def cost(course: Course, lines: str) -> None:
    with course.config.open("a", encoding="utf-8") as file:
        file.write(f"\n{lines}\n")


def totals(course: Course) -> dict[str, float]:
    return {sheet.student: sheet.total for sheet in ledger.sheets(course, course.chapters()[0])}


def attempt(course: Course, number: str, answers: dict[str, str], time: str = "") -> None:
    """Hand in, and keep it as `collect` keeps an attempt."""
    path = hand_in(course, "ada", answers)
    folder = attempts_folder(course, course.chapters()[0], "ada") / number
    folder.mkdir(parents=True)
    shutil.copy(path, folder)
    for place in (folder, path.parent):
        (place / TIMESTAMP).unlink(missing_ok=True)
        if time:
            (place / TIMESTAMP).write_text(time, encoding="utf-8")


def test_each_day_that_has_begun_costs_its_share_and_extra_time_costs_nothing(built: Course) -> None:
    cost(built, "c.LatePenalty.per_day = 0.25\nc.LatePenalty.at_most = 0.5")
    (chapter,) = built.chapters()
    assert lateness.due(built, chapter) == ""
    assert lateness.set_due(built, chapter, "2026-11-20 23:59 +0100") == "2026-11-20 22:59:00 UTC"
    for student, time in (
        ("in-time", "2026-11-20 22:58:00 UTC"),
        ("hour", "2026-11-20 23:59:00 UTC"),
        ("two-days", "2026-11-22 12:00:00 UTC"),
        ("weeks", "2026-12-20 12:00:00 UTC"),
        ("extra", "2026-11-22 12:00:00 UTC"),
        ("unknown", ""),
    ):
        path = hand_in(built, student, RIGHT)
        if time:
            path.with_name(TIMESTAMP).write_text(time, encoding="utf-8")
    (built.gradebook / lateness.EXTRA_TIME).write_text("student,hours,chapter\nextra,48,01\nhour,9,\n", encoding="utf-8-sig")
    grade(built)
    expected = {"in-time": 8.0, "hour": 8.0, "two-days": 4.0, "weeks": 4.0, "extra": 8.0, "unknown": 8.0}
    assert totals(built) == expected
    (built.gradebook / lateness.EXTRA_TIME).unlink()
    grade(built)  # nothing is run again, but lateness is worked out anew
    assert totals(built) == expected | {"hour": 6.0, "extra": 4.0}
    lateness.set_due(built, chapter, "")
    grade(built)
    assert totals(built) == dict.fromkeys(expected, 8.0)


@pytest.mark.parametrize(
    ("text", "found"),
    [("student,hours\nada,many\n", "line 2"), ("who,hours\nada,3\n", "line 2"), ("student,hours,chapter\nada,3,99\n", "line 2")]
    + [(f"student,hours\nada,3\nada,{hours}\n", f"line 3: {hours} are no hours") for hours in ("nan", "inf", "-1")],
)
def test_extra_time_that_cannot_be_read_names_the_line(built: Course, text: str, found: str) -> None:
    built.gradebook.mkdir()
    (built.gradebook / lateness.EXTRA_TIME).write_text(text, encoding="utf-8")
    with pytest.raises(LedgerError, match=found):
        lateness.extra_time(built)


def test_extra_time_of_somebody_who_is_not_in_the_class_is_told(built: Course) -> None:
    built.gradebook.mkdir()
    roster.keep(built, roster.Roster((roster.Student("ada", "Ada"), roster.Student("bob", "Bob"))))
    (built.gradebook / lateness.EXTRA_TIME).write_text("student,hours\nada,3\nbop,3\n", encoding="utf-8")
    with pytest.raises(LedgerError, match="line 3: 'bop' does not stand in the list of the class"):
        lateness.extra_time(built)


def test_a_due_date_that_is_no_time_is_refused(built: Course) -> None:
    with pytest.raises(LedgerError, match="is no time"):
        lateness.set_due(built, built.chapters()[0], "tomorrow-ish")


def test_of_several_attempts_the_best_counts_if_the_course_says_so(built: Course) -> None:
    attempt(built, "0-9001", RIGHT | {"length": WRONG})
    attempt(built, "1-9002", RIGHT)
    attempt(built, "2-9010", {"double": RIGHT["double"]})
    grade(built)
    assert totals(built) == {"ada": 3.0}, "the last one counts"
    cost(built, 'c.Attempts.counts = "best"')
    grade(built)
    assert totals(built) == {"ada": 8.0}
    assert [graded.outcome for graded in ledger.grade(built, built.chapters(), OWN)] == ["up to date"]


def test_the_best_of_what_was_collected_counts_also_where_the_platform_numbers_no_attempt(built: Course, tmp_path: Path) -> None:
    cost(built, 'c.Attempts.counts = "best"')
    for answers in (RIGHT, RIGHT | {"length": WRONG}):
        made = hand_in(built, "made", answers)
        (tmp_path / "in" / "ada").mkdir(parents=True, exist_ok=True)
        shutil.copy(made, tmp_path / "in" / "ada" / made.name)
        shutil.rmtree(made.parents[1])
        collect.write(built, collect.sort(built, files(tmp_path / "in"), None))
    grade(built)
    assert totals(built) == {"ada": 8.0}


def test_a_better_attempt_that_came_late_may_be_worth_less(built: Course) -> None:
    cost(built, 'c.Attempts.counts = "best"\nc.LatePenalty.per_day = 0.5')
    lateness.set_due(built, built.chapters()[0], "2026-11-20 23:59 UTC")
    attempt(built, "0-1", RIGHT | {"double": "def double(values):\n    return values"})
    attempt(built, "1-2", RIGHT, "2026-11-21 23:00:00 UTC")
    grade(built)
    assert totals(built) == {"ada": 5.0}, "5 points in time against 8 less half of them"


def test_another_rule_for_attempts_is_refused(built: Course) -> None:
    cost(built, 'c.Attempts.counts = "first"')
    hand_in(built, "ada", RIGHT)
    with pytest.raises(LedgerError, match="'last' or 'best'"):
        grade(built)


def test_whose_mark_a_mended_check_changes_is_told_before_anything_is_written(built: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    hand_in(built, "right", RIGHT)
    hand_in(built, "wrong", RIGHT | {"length": WRONG})
    grade(built)
    with gradebook(built) as book:  # a person gives a point by hand
        book.find_grade("double-keeps", TINY, TINY, "wrong").manual_score = 1.0
        book.db.commit()
    before, written = totals(built), contents(built.gradebook, "grading.lock")
    (chapter,) = built.chapters()
    edit(chapter.source, "found = length(-5.0, 12.0)\nassert found == 13.0", "found = length(-5.0, 12.0)\nassert found in (7.0, 13.0)")
    rebuild_course(built)
    changes = ledger.rehearse(built, [chapter], ledger.Options(changed=True, workers=1))
    assert [(change.student, change.before, change.after, change.checks) for change in changes] == [
        ("wrong", before["wrong"], before["wrong"] + 3, {"length-negative": 3.0})
    ]
    assert (totals(built), contents(built.gradebook, "grading.lock")) == (before, written)
    monkeypatch.chdir(built.root)
    assert CliRunner().invoke(app, ["grade", "--changed", "--dry-run"]).exit_code == 0
    assert (totals(built), contents(built.gradebook, "grading.lock")) == (before, written)
    grade(built)
    assert totals(built) == before | {"wrong": before["wrong"] + 3}


def test_a_chapter_is_handed_out_without_answers_and_with_its_due_date(built: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(built.root)
    dry = CliRunner().invoke(app, ["release", "01", "--dry-run"])
    assert dry.exit_code == 0
    assert not (built.root / "dist").exists()
    assert CliRunner().invoke(app, ["release", "01", "2026-11-30 23:59 +0100"]).exit_code == 0
    with zipfile.ZipFile(built.root / "dist" / f"{TINY}.zip") as archive:
        assert f"{TINY}/{TINY}.ipynb" in archive.namelist()
        assert b"math.sqrt" not in archive.read(f"{TINY}/{TINY}.ipynb")
    assert lateness.due(built, built.chapters()[0]) == "2026-11-30 22:59:00 UTC"
    student = built.chapters()[0].student
    student.write_text(student.read_text(encoding="utf-8").replace("arrow", "bow"), encoding="utf-8")
    assert CliRunner().invoke(app, ["release", "01"]).exit_code == 1
