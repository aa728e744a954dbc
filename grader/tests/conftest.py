"""A tiny course, without torch, that every test may copy and spoil."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import distributed
import pytest
from hypothesis import settings

from grader.build import build
from grader.course import CONFIG_NAME, Chapter, Course

settings.register_profile("steady", deadline=None, derandomize=True, database=None)  # the same examples on a busy machine
settings.load_profile("steady")

ROOT = Path(__file__).parents[2]
TINY = "01_tiny"
TINY_LESSON = Path(__file__).parent / "lessons" / "tiny.py"


def tiny_course(root: Path) -> Course:
    """Lay a course of one chapter, `01_tiny`, into `root`: two exercises, nothing built yet."""
    shutil.copy(ROOT / CONFIG_NAME, root)
    folder = root / "solutions" / TINY
    folder.mkdir(parents=True)
    shutil.copy(TINY_LESSON, folder / f"{TINY}.py")
    return Course(root)


def judged_course(root: Path) -> Course:
    """Lay a course of one chapter, `01_judged`, into `root`, for what is graded without nbgrader."""
    folder = root / "solutions" / "01_judged"
    folder.mkdir(parents=True)
    (root / "data").mkdir()
    shutil.copy(Path(__file__).parent / "lessons" / "judged.py", folder / "01_judged.py")
    return Course(root)


def contents(folder: Path, *left_out: str) -> dict[Path, bytes]:
    """Return every file and folder below `folder` with what it holds, but for what is called as one of `left_out`, or lies in it."""
    found = (path.relative_to(folder) for path in folder.rglob("*"))
    return {path: (folder / path).read_bytes() if (folder / path).is_file() else b"" for path in found if not {*left_out} & {*path.parts}}


@pytest.fixture(scope="session", autouse=True)
def lasting_workers() -> Iterator[None]:
    """Let the workers of one grading take the next one too: to start and end them takes longer than to grade what most tests hand in."""
    started: dict[int, distributed.LocalCluster] = {}
    start: Any = distributed.LocalCluster

    def started_before(n_workers: int, **options: Any) -> distributed.LocalCluster:
        if n_workers not in started:
            started[n_workers] = start(n_workers=n_workers, **options)
            patch.setattr(started[n_workers], "close", lambda: None)
        return started[n_workers]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distributed, "LocalCluster", started_before)
        yield
    for cluster in started.values():
        cluster.close()


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """The tiny course, not built."""
    return tiny_course(tmp_path)


@pytest.fixture(scope="session")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """The tiny course, built; only to be copied, see `built`."""
    course = tiny_course(tmp_path_factory.mktemp("course"))
    assert [result.error for result in build(course, course.chapters())] == [None]
    return course


@pytest.fixture
def built(built_once: Course, tmp_path: Path) -> Course:
    """The tiny course, built, for one test to spoil."""
    return Course(shutil.copytree(built_once.root, tmp_path / "built"))


@pytest.fixture
def chapter(course: Course) -> Chapter:
    """The chapter of the tiny course."""
    return course.chapters()[0]


def edit(path: Path, old: str, new: str) -> None:
    """Replace `old`, which must stand in the file exactly once, by `new`."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {path}"
    path.write_text(text.replace(old, new), encoding="utf-8")
