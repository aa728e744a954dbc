"""Feedback: a page for every student and chapter, without hidden tests and without anything that a browser would run."""

from __future__ import annotations

import html
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from nbgrader.converters import GenerateFeedback

from grader.course import Chapter, Course
from grader.ledger.converters import convert, course_config
from grader.ledger.gradebook import autograded, sheets, template_of
from grader.ledger.results import Problem, Sheet
from grader.ledger.submissions import submitted
from grader.template import Note, read_submission

PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{chapter}</title></head>
<body>
<h1>{chapter} (Score: {points:g} / {possible:g})</h1>
<p>Your submission could not be run: {found}.</p>
</body>
</html>
"""


def feedback(course: Course, chapters: list[Chapter]) -> Iterator[Path | Problem]:
    """Write a page for every graded student of `chapters`; yield its path, or the problem where nbgrader could not write it."""
    pages = [(chapter, sheet) for chapter in chapters for sheet in sheets(course, chapter)]
    with ProcessPoolExecutor(min(os.cpu_count() or 1, len(pages) or 1), mp_context=get_context("spawn")) as pool:
        yield from pool.map(partial(_page, course), *zip(*pages, strict=True)) if pages else ()


def _page(course: Course, chapter: Chapter, sheet: Sheet) -> Path | Problem:
    """Write one student's page."""
    page = course.gradebook / "feedback" / sheet.student / chapter.name / f"{chapter.name}.html"
    copy = autograded(course, chapter, sheet.student)
    if not copy.is_file():
        submission = read_submission(submitted(course, chapter, sheet.student), template_of(chapter))
        found = submission.found if isinstance(submission, Note) else "it did not come to an end"
        page.parent.mkdir(parents=True, exist_ok=True)
        text = PAGE.format(chapter=chapter.name, points=sheet.total, possible=sheet.possible, found=html.escape(found))
        page.write_text(text, encoding="utf-8")
    elif refused := _convert(course, chapter, sheet.student):
        remedy = "grade the submission again, then write feedback"
        return Problem(sheet.student, chapter.name, copy, f"no feedback: {refused}", remedy, ungraded=True)
    return page


def _convert(course: Course, chapter: Chapter, student: str) -> str:
    config = course_config(course)
    config.CourseDirectory.assignment_id = chapter.name
    config.CourseDirectory.notebook_id = chapter.name
    config.CourseDirectory.student_id = student
    config.GenerateFeedback.force = True
    return convert(GenerateFeedback, config)
