"""The README's table of chapters says what the lessons say."""

from __future__ import annotations

import pytest

from grader import check
from grader.course import Chapter, Course
from grader.errors import DriftError
from grader.lesson import read
from grader.readme import BEGIN, END, abilities, chapter_table, updated
from grader.tests.conftest import edit

PROMISE = "A lesson small enough to be built in a test."


def test_the_table_names_what_the_reader_can_do(course: Course, chapter: Chapter) -> None:
    edit(
        chapter.source,
        PROMISE,
        "After this chapter you can\n#\n# - measure an arrow,\n#   also a negative one,\n# - double | halve numbers.\n#\n# The end.",
    )
    assert abilities(read(chapter.source)) == ["measure an arrow, also a negative one", r"double \| halve numbers"]
    assert "| 01 [How long is an arrow?](notebooks/01_tiny/01_tiny.ipynb) | 2 | 8 | measure an arrow" in chapter_table(course)


def test_a_table_that_is_out_of_date_is_drift(course: Course, chapter: Chapter) -> None:
    course.readme.write_text(updated(course, f"before\n{BEGIN}\nold\n{END}\nafter\n"), encoding="utf-8")
    assert check.readme(course) == []
    edit(chapter.source, "How long is an arrow?", "How long is this arrow?")
    (error,) = check.readme(course)
    assert "make build" in str(error)


def test_a_readme_without_markers_is_told_which(course: Course) -> None:
    with pytest.raises(DriftError, match="chapters: written by"):
        updated(course, "nothing here")
