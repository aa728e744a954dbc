"""One chapter for students, as a platform takes it: its notebook and the files beside it, proved to hold no answers."""

from __future__ import annotations

import zipfile
from pathlib import Path

from grader.check import check
from grader.course import Chapter, Course, attachments
from grader.errors import DriftError
from grader.files import whole


def hand_out(course: Course, chapter: Chapter, path: Path, *, dry_run: bool = False) -> list[str]:
    """Write the archive of a chapter to `path` and return the files in it, with `dry_run` only the latter.

    Raises DriftError where its notebook is not as it was built: it might hold answers.
    """
    errors = [error for _, found in check(course, [chapter]) for error in found]
    if errors:
        raise DriftError("\n".join(map(str, errors)))
    folder = chapter.student.parent
    files = {chapter.student.name: chapter.student, **attachments(folder)}
    if not dry_run:
        with whole(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            for place, file in files.items():
                archive.write(file, f"{chapter.name}/{place}")
    return list(files)
