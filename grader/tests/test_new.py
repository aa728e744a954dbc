"""A new chapter is green from its first minute, and is built whenever it is saved."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from grader.audit import audit
from grader.build import build
from grader.check import check
from grader.course import Course
from grader.errors import GraderError
from grader.new import new_lesson
from grader.tests.conftest import ROOT, TINY, edit


def test_a_new_lesson_builds_checks_and_audits_green(course: Course) -> None:
    path = new_lesson(course, "27", "Graphs & Größen: 图")
    assert path == course.root / "solutions" / "27_graphs_grossen" / "27_graphs_grossen.py"
    chapters = course.chapters(["27"])
    assert [result.error for result in build(course, chapters)] == [None]
    assert [errors for _, errors in check(course, chapters)] == [[]]
    report = audit(chapters[0])
    assert list(report.faults()) == []
    assert report.killed == report.mutants > 2


def test_the_exercise_that_contributing_adds_is_proved_as_it_says(course: Course) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (exercise,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    weak = re.findall(r"`(\[\[[-\d., \[\]]*\]\])`", text)
    last = "# %% [markdown]\n# ## What we saw"
    path = new_lesson(course, "27", "Graphs")
    edit(path, last, f"{exercise}\n{last}")
    chapters = course.chapters(["27"])
    assert [result.error for result in build(course, chapters)] == [None]
    assert [errors for _, errors in check(course, chapters)] == [[]]
    assert list(audit(chapters[0]).faults()) == []
    for strong, said in zip(("[[1.0, 10.0], [3.0, 30.0]]", "[[-1.0, -10.0], [1.0, 10.0]]"), weak, strict=True):
        edit(path, f"torch.tensor({strong})", f"torch.tensor({said})")
    assert [result.error for result in build(course, chapters)] == [None]
    (fault,) = audit(chapters[0]).faults()
    assert "centred-all" in str(fault)
    assert "centred-by-hand" in str(fault)


REFUSED = [
    ("27a", "Graphs", "is no chapter number"),
    ("7", "Graphs", "is no chapter number"),
    (TINY[:2], "Graphs", f"there already: {TINY}"),
    ("27", "图", "no folder can be named after '图'"),
    ("27", "", "no folder can be named"),
    ("27", "two\nlines", "no folder can be named"),
]


@pytest.mark.parametrize(("number", "title", "words"), REFUSED)
def test_what_cannot_be_a_chapter_is_refused_and_nothing_is_written(course: Course, number: str, title: str, words: str) -> None:
    with pytest.raises(GraderError, match=words):
        new_lesson(course, number, title)
    assert [chapter.name for chapter in course.chapters()] == [TINY]


@contextmanager
def watching(course: Course) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-u", "-m", "grader", "watch", TINY]
    with subprocess.Popen(command, cwd=course.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_lesson_is_built_whenever_it_is_saved_and_a_fault_ends_nothing(built: Course) -> None:
    (chapter,) = built.chapters()
    with watching(built) as process:
        printed = process.stdout
        assert printed

        def read_until(words: str) -> None:
            deadline = time.monotonic() + 60
            while words not in printed.readline():
                assert time.monotonic() < deadline

        read_until("up to date")
        edit(chapter.source, "# ## What we saw", "# ## What we have seen")
        read_until(f"wrote notebooks/{TINY}/{TINY}.ipynb")
        assert "What we have seen" in chapter.student.read_text()
        edit(chapter.source, 'check="length-by-hand" points=2', 'check="length-by-hand"')
        read_until("points")
        edit(chapter.source, 'check="length-by-hand"', 'check="length-by-hand" points=2')
        read_until("up to date")
