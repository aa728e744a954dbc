"""The builder: reproducible, lazy, and clear about what it cannot build."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.build import build
from grader.course import Chapter, Course
from grader.errors import GraderError
from grader.execute import CELL_TIMEOUT
from grader.files import write_if_changed
from grader.fingerprints import Fingerprints
from grader.notebook import load
from grader.tests.conftest import edit


def _built(course: Course, chapter: Chapter, *, force: bool = False) -> tuple[bool, list[str]]:
    (built,) = build(course, [chapter], force=force)
    if built.error:
        raise built.error
    return built.executed, [path.parts[-3] for path in built.written]


def test_building_twice_gives_the_same_bytes_and_runs_nothing_again(course: Course, chapter: Chapter) -> None:
    assert _built(course, chapter) == (True, ["solutions", "notebooks"])
    before = chapter.instructor.read_bytes(), chapter.student.read_bytes()
    assert _built(course, chapter) == (False, [])
    assert _built(course, chapter, force=True) == (True, [])
    assert (chapter.instructor.read_bytes(), chapter.student.read_bytes()) == before


def test_prose_is_rebuilt_without_running_and_code_with(course: Course, chapter: Chapter) -> None:
    _built(course, chapter)
    edit(chapter.source, "A lesson small enough", "A lesson that is small enough")
    assert _built(course, chapter) == (False, ["solutions", "notebooks"])
    edit(chapter.source, "print(math.hypot(6.0, 8.0))", "print(math.hypot(5.0, 12.0))")
    assert _built(course, chapter) == (True, ["solutions", "notebooks"])


def test_an_edit_changes_only_its_own_cell_of_the_notebook(course: Course, chapter: Chapter) -> None:
    _built(course, chapter)
    before = load(chapter.instructor).cells
    edit(chapter.source, "A lesson small enough", "A lesson that is small enough")
    _built(course, chapter)
    changed = [(old.id, new.id) for old, new in zip(before, load(chapter.instructor).cells, strict=True) if old != new]
    assert len(changed) == 1


def test_the_student_notebook_has_stubs_and_no_answers_outputs_or_explanations(course: Course, chapter: Chapter) -> None:
    _built(course, chapter)
    cells = {cell.id: cell for cell in load(chapter.student).cells}
    assert cells["length"].source.endswith("# YOUR CODE HERE\n    raise NotImplementedError()")
    assert cells["length-negative"].source == "# Hidden tests (3 points) run here when you submit."
    assert cells["length"].metadata.tags == cells["length-by-hand"].metadata.tags == ["raises-exception"]
    assert cells["length"].metadata.get("editable", True)
    assert not cells["length-by-hand"].metadata.editable
    assert not any("squares take the signs" in cell.source for cell in cells.values())
    assert not any(cell.get("outputs") for cell in cells.values())


def test_the_instructor_notebook_keeps_text_and_no_pictures(course: Course, chapter: Chapter) -> None:
    edit(
        chapter.source,
        "print(math.hypot(6.0, 8.0))",
        "from IPython.display import SVG, Image, display\n\ndisplay(Image(data=b'\\x89PNG\\r\\n\\x1a\\n', format='png'))",
    )
    _built(course, chapter)
    (last,) = load(chapter.instructor).cells[-1].outputs
    assert list(last.data) == ["text/plain"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise ValueError('no arrow')", "the cell fails: ValueError: no arrow"),
        ("import os\n\nos._exit(1)", "the kernel died"),
        ("import warnings\n\nwarnings.warn('old arrow')", "writes to stderr"),
    ],
)
def test_a_cell_that_fails_is_named_and_nothing_is_written(course: Course, chapter: Chapter, code: str, words: str) -> None:
    edit(chapter.source, "print(math.hypot(6.0, 8.0))", code)
    with pytest.raises(GraderError) as caught:
        _built(course, chapter)
    assert words in str(caught.value)
    assert f"{chapter.instructor}: cell '" in str(caught.value)
    assert code.splitlines()[0] in str(caught.value) or "stderr" in words
    assert not chapter.instructor.exists()


def test_a_cell_that_hangs_ends_at_its_own_timeout(course: Course, chapter: Chapter, monkeypatch: pytest.MonkeyPatch) -> None:
    assert CELL_TIMEOUT < 600
    monkeypatch.setattr("grader.execute.CELL_TIMEOUT", 2)
    edit(chapter.source, "print(math.hypot(6.0, 8.0))", "while True:\n    pass")
    with pytest.raises(GraderError, match="no answer after 2 s"):
        _built(course, chapter)


def test_one_chapter_that_cannot_be_built_stops_no_other(course: Course, chapter: Chapter) -> None:
    broken = course.root / "solutions" / "02_broken" / "02_broken.py"
    broken.parent.mkdir()
    broken.write_text("# %% nonsense=1\nx = 1\n", encoding="utf-8")
    built = list(build(course, course.chapters()))
    assert [result.error is None for result in built] == [True, False]
    assert chapter.student.is_file()


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    with pytest.raises(GraderError, match="cannot be written"):
        write_if_changed(target, b"content")
    assert list(tmp_path.iterdir()) == [target]


def test_a_chapter_is_found_by_number_name_and_path(course: Course, chapter: Chapter) -> None:
    for selection in ("01", "01_tiny", "solutions/01_tiny/01_tiny.py"):
        assert course.chapters([selection]) == [chapter]
    with pytest.raises(GraderError, match="choose one of: 01_tiny"):
        course.chapters(["07"])


def test_a_folder_outside_a_course_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(GraderError, match=r"no nbgrader_config\.py"):
        Course.find(tmp_path)


def test_a_fingerprint_holds_until_a_file_or_the_settings_change(course: Course, chapter: Chapter) -> None:
    _built(course, chapter)
    assert Fingerprints(course).hold(chapter.name, chapter.files)
    before = chapter.student.read_bytes()
    chapter.student.write_bytes(b"{}")
    assert not Fingerprints(course).hold(chapter.name, chapter.files)
    assert _built(course, chapter) == (False, ["notebooks"])
    assert chapter.student.read_bytes() == before
    course.config.write_text(course.config.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert not Fingerprints(course).hold(chapter.name, chapter.files)


@pytest.mark.parametrize("spoiled", ["not JSON", "[]", '{"01_tiny": "0"}'])
def test_spoiled_fingerprints_only_make_the_next_build_slower(course: Course, chapter: Chapter, spoiled: str) -> None:
    _built(course, chapter)
    Fingerprints(course).path.write_text(spoiled, encoding="utf-8")
    assert _built(course, chapter) == (False, [])
