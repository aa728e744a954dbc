"""A tiny course, without torch, that every test may copy and spoil."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from grader.course import CONFIG_NAME, Chapter, Course

ROOT = Path(__file__).parents[2]
TINY = "01_tiny"
TINY_LESSON = Path(__file__).parent / "lessons" / "tiny.py"


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """A course of one chapter, `01_tiny`: two exercises, nothing built yet."""
    shutil.copy(ROOT / CONFIG_NAME, tmp_path)
    folder = tmp_path / "solutions" / TINY
    folder.mkdir(parents=True)
    shutil.copy(TINY_LESSON, folder / f"{TINY}.py")
    return Course(tmp_path)


@pytest.fixture
def chapter(course: Course) -> Chapter:
    """The chapter of the tiny course."""
    return course.chapters()[0]


def edit(path: Path, old: str, new: str) -> None:
    """Replace `old`, which must stand in the file exactly once, by `new`."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {path}"
    path.write_text(text.replace(old, new), encoding="utf-8")
