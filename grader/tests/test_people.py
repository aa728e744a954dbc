"""Submissions that aim at the people who grade: their terminal, their spreadsheet, their browser."""

from __future__ import annotations

import csv
import io

import pytest
from rich.console import Console

from grader import ledger
from grader.course import Course
from grader.marks_print import show_problems, show_sheets, write_csv
from grader.review.feedback import feedback
from grader.safe_text import no_formula, visible
from grader.tests.test_ledger import ALL, OWN, RIGHT, SECOND, grade, hand_in, marks

ESCAPES = "\x1b[2J\x1b]0;owned\x07\r\u202eabc"
LOUD = f"def length(x, y):\n    raise ValueError({ESCAPES!r} + 'x' * 10**6)\n"
NAMES = [
    "=cmd|' calc'!A0",
    "-2+3",
    "@SUM(A1)",
    'O\'Brien "Bob"',
    "..hidden",
    "李 Ünal",
    "a;b,c",
    "<script>alert(1)",
]
LARGEST_PAGE = 2**20  # bytes


@pytest.fixture
def handed_in(built: Course) -> Course:
    """A class whose names are hostile, and one member whose errors are."""
    (built.root / "data").mkdir()
    for name in NAMES:
        hand_in(built, name, RIGHT)
    hand_in(built, "loud", RIGHT | {"length": LOUD})
    hand_in(built, "two\nlines", RIGHT)
    hand_in(built, "colour\x1b[31m", RIGHT)
    return built


def test_hostile_names_and_errors_reach_nobody(handed_in: Course) -> None:
    problems = grade(handed_in, OWN)
    assert marks(handed_in) == dict.fromkeys(NAMES, ALL) | {"loud": SECOND}
    for name in ("two\nlines", "colour\x1b[31m"):
        (problem,) = problems[name]
        assert problem.ungraded
        assert problem.remedy == "rename the student's folder"
    sheets = ledger.sheets(handed_in, handed_in.chapters()[0])

    terminal = Console(file=io.StringIO(), width=200)
    show_sheets("a chapter", sheets, terminal)
    show_problems([problem for found in problems.values() for problem in found], handed_in.root, terminal)
    printed = terminal.file.getvalue()  # type: ignore[attr-defined]
    assert not set(printed) & set("\x1b\x07\r\u202e")
    assert r"\x1b[2J\x1b]0;owned\x07" in printed
    assert len(printed) < 50_000

    path = handed_in.root / "marks.csv"
    write_csv(path, sheets)
    students = {row["student"] for row in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))}
    assert students == {"loud", *map(no_formula, NAMES)}
    assert not any(student.startswith(("=", "+", "-", "@")) for student in students)

    pages = list(feedback(handed_in, handed_in.chapters()))
    assert {page.parts[-3] for page in pages} == {"loud", *NAMES}
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "\x1b" not in text
        assert "<script>alert" not in text
        assert page.stat().st_size < LARGEST_PAGE


def test_text_keeps_what_does_no_harm_and_shows_the_rest_as_escapes() -> None:
    assert visible("Ünal 李\u3000\u200c\n\tx") == "Ünal 李\u3000\u200c\n\tx"
    assert visible("a\x1b[31m\x9b\u202e\u2066\u2028\r\x00") == r"a\x1b[31m\x9b\u202e\u2066\u2028\r\x00"
    assert visible("\ud800") == r"\ud800"


def test_what_a_spreadsheet_would_compute_becomes_text() -> None:
    assert [no_formula(text) for text in ("=1+1", "+1", "-1", "@A1", "\t=1", "1-1", "")] == [
        "'=1+1",
        "'+1",
        "'-1",
        "'@A1",
        "'\t=1",
        "1-1",
        "",
    ]
