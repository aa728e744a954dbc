"""The README's table of chapters, made from the lesson sources."""

from __future__ import annotations

import re
from collections.abc import Iterator

from grader.course import Chapter, Course
from grader.errors import DriftError
from grader.files import write_if_changed
from grader.fingerprints import Fingerprints
from grader.lesson import Lesson, read

BEGIN, END = "<!-- chapters: written by `make build` -->", "<!-- end of chapters -->"
ABILITIES = re.compile(r"^After this chapter you can$\n+(?P<items>(?:^[-* ] ?.*$\n?)+)", re.MULTILINE)


def chapter_table(course: Course) -> str:
    """Return the table in Markdown: title with its link, exercises, points, and what the reader can do afterwards."""
    rows = [_row(course, chapter, read(chapter.source)) for chapter in course.chapters()]
    return "\n".join(["| chapter | exercises | points | after it you can |", "|---|---|---|---|", *rows])


def abilities(lesson: Lesson) -> list[str]:
    """Return the lines under "After this chapter you can", without their bullets and closing signs."""
    for cell in lesson.cells:
        if match := ABILITIES.search(cell.source):
            return list(_items(match["items"]))
    return []


def updated(course: Course, text: str) -> str:
    """Return the README's `text` with the table of now; DriftError where its two markers are missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        remedy = f"write {BEGIN} and {END} on lines of their own"
        raise DriftError(f"{course.readme}: the markers of the chapter table are missing\n    remedy: {remedy}")
    return f"{before}{BEGIN}\n\n{chapter_table(course)}\n\n{END}{after}"


def update(course: Course) -> bool:
    """Write the table of now into the README, where there is one; say whether that changed it. DriftError as of `updated`."""
    fingerprints, files = Fingerprints(course), (course.readme, *(chapter.source for chapter in course.chapters()))
    if not course.readme.is_file() or fingerprints.hold(course.readme.name, files):
        return False
    changed = write_if_changed(course.readme, updated(course, course.readme.read_text(encoding="utf-8")).encode())
    fingerprints.keep(course.readme.name, files)
    return changed


def _row(course: Course, chapter: Chapter, lesson: Lesson) -> str:
    link = chapter.student.relative_to(course.root).as_posix()
    points = sum(exercise.points for exercise in lesson.exercises)
    return f"| {chapter.number} [{lesson.title}]({link}) | {len(lesson.exercises)} | {points:g} | {'; '.join(abilities(lesson))} |"


def _items(block: str) -> Iterator[str]:
    """Yield each bullet as one line; a bullet may go on over several lines."""
    for item in re.split(r"^[-*] ", block, flags=re.MULTILINE):
        if text := " ".join(item.split()).rstrip(".,;").replace("|", r"\|"):
            yield text
