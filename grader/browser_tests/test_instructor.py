"""An instructor: a mark and a comment by hand in formgrader, and the pages that the class and its teacher read."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from grader import ledger
from grader.browser_tests.conftest import HERE, ROOT, empty_page, jupyterlab, photograph
from grader.browser_tests.lab import CREATE_ASSIGNMENT, Lab
from grader.course import Course
from grader.export import export
from grader.handed_in import roster
from grader.ledger.gradebook import gradebook
from grader.mutation.disguise import disguise
from grader.review import similarity
from grader.review.feedback import feedback
from grader.review.report import report
from grader.tests.conftest import TINY, tiny_course
from grader.tests.test_ledger import DOUBLE, LENGTH, hand_in, with_free_text

SUM = "def length(x, y):\n    return x + y\n"
DIFFERENCE = "def length(x, y):\n    return abs(x - y)\n"
OWN = """def double(values):
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
A4 = 718  # pixels between the margins of a sheet
WHY = "Because the caller may still need the old one."


@pytest.fixture
def taught(tmp_path: Path) -> Course:
    """A graded class of twelve: known mistakes, an unknown one, a copy, an answer in words, and one that is not JSON."""
    folder = tmp_path / "course"
    folder.mkdir()
    course = tiny_course(folder)
    with_free_text(course)
    right = {"length": LENGTH, "double": DOUBLE}
    for number in range(5):
        hand_in(course, f"right{number}", right)
    hand_in(course, "ada", right | {"length": SUM, "double-why": WHY})
    hand_in(course, "jörg", right | {"length": SUM})
    hand_in(course, "小明", right | {"length": DIFFERENCE})
    hand_in(course, "zoë", right | {"length": DIFFERENCE})
    hand_in(course, "author", right | {"double": OWN})
    hand_in(course, "copier", right | {"double": disguise(OWN)})
    hand_in(course, "broken", {}).write_text("{", encoding="utf-8")
    grade(course)
    return course


def grade(course: Course) -> None:
    for _ in ledger.grade(course, course.chapters(), ledger.Options(force=True)):
        pass


@pytest.fixture
def instructor(taught: Course) -> Iterator[Lab]:
    """The server that `make formgrader` starts."""
    with jupyterlab(taught, settings=ROOT / "lab" / "instructor") as lab:
        yield lab


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page for what we wrote ourselves: no request may leave the machine, and the console has no errors."""
    with empty_page(browser, request.node.name) as page:
        yield page


def test_a_mark_and_a_comment_by_hand_are_in_the_export_and_the_feedback_after_a_regrade(
    taught: Course, instructor: Lab, browser: Browser, tmp_path: Path
) -> None:
    with gradebook(taught) as book:
        identity = book.find_submission_notebook(TINY, TINY, "ada").id
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.route(lambda address: not address.startswith(HERE), lambda route: route.abort())  # nbgrader's own page asks for MathJax
    page = context.new_page()
    page.goto(f"{instructor.address}/lab?token={instructor.token}")  # formgrader itself takes no token
    page.goto(f"{instructor.address}/formgrader/gradebook")
    page.get_by_role("link", name=TINY).click()  # the chapter, then its notebook, then a submission
    expect(page).to_have_url(re.compile(f"/gradebook/{TINY}$"))
    page.get_by_role("link", name=TINY).last.click()
    page.locator(f'a[href*="{identity}"]').first.click()
    score, comment = page.locator("#double-why"), page.locator("#double-why-comment")
    expect(score).to_have_class(re.compile("needs_manual_grade"))  # formgrader has the marks, and listens
    with page.expect_response(lambda answer: "/api/grade/" in answer.url and answer.request.method == "PUT"):
        score.fill("1.5")
        score.blur()
    with page.expect_response(lambda answer: "/api/comment/" in answer.url and answer.request.method == "PUT"):
        comment.fill("Good; and what if the <old> one is long?")
        comment.blur()
    photograph(page, "formgrader")
    context.close()

    grade(taught)  # everything, from the beginning
    (sheet,) = [sheet for sheet in ledger.sheets(taught, taught.chapters()[0]) if sheet.student == "ada"]
    assert sheet.of("double")[0] == 3 + 1.5
    canvas = tmp_path / "grades.csv"
    canvas.write_text(
        'Student,ID,SIS User ID,SIS Login ID,Section\n    Points Possible,,,,\n"Lovelace, Ada",1,S1,ada,A\n', encoding="utf-8"
    )
    roster.keep(taught, roster.read(canvas))
    export(canvas, TINY, ledger.sheets(taught, taught.chapters()[0]), tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8-sig", newline="") as file:
        assert {row["SIS Login ID"]: row[TINY] for row in csv.DictReader(file)}["ada"] == "4.5"
    pages = {path.parts[-3]: path.read_text(encoding="utf-8") for path in feedback(taught, taught.chapters())}
    assert "Good; and what if the &lt;old&gt; one is long?" in pages["ada"]
    assert WHY in pages["ada"]


def test_report_and_feedback_can_be_read_by_everybody_on_every_screen(taught: Course, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similarity, "LEAST", 50)  # a copy of one short answer is to be in the picture
    (made,) = report(taught, taught.chapters())
    (ada,) = [path for path in feedback(taught, taught.chapters(), explanations=True) if path.parts[-3] == "ada"]
    assert len(made.pairs) == 1
    for name, path in (("report", made.page), ("similarity", made.similarity), ("feedback", ada)):
        for screen, width in (("", 1100), ("-phone", 390)):
            page.set_viewport_size({"width": width, "height": 1000})
            page.goto(path.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than a screen of {width} pixels"
            photograph(page, f"{name}{screen}")
        page.emulate_media(media="print")
        page.set_viewport_size({"width": A4, "height": 1000})
        assert page.evaluate("document.documentElement.scrollWidth") <= A4, f"{name} is wider than a sheet of paper"
        cut = page.evaluate("[...document.querySelectorAll('pre, .wide')].filter(e => e.scrollWidth > e.clientWidth + 1).length")
        assert cut == 0, f"{cut} parts of {name} are cut off on paper"
        photograph(page, f"{name}-print")
        page.emulate_media(media="screen")
        found = Axe().run(page).response["violations"]
        assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == [], name
    page.goto(made.page.as_uri())
    page.get_by_role("link", name="1 pair").click()
    expect(page.get_by_role("heading", name="author and copier")).to_be_visible()


def test_formgrader_is_in_the_menu_of_instructors_alone(instructor: Lab, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(f"{instructor.address}/lab?token={instructor.token}")
    expect(page.get_by_role("menubar").first).to_contain_text("Nbgrader", timeout=60_000)
    expect(page.locator(CREATE_ASSIGNMENT)).to_have_count(0)  # lessons are written in a file, not there
    context.close()
