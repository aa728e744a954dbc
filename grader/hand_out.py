"""One chapter for students, as a platform takes it: its notebook and the files beside it, proved to hold no answers."""

from __future__ import annotations

import zipfile
from pathlib import Path

from grader.check import require_built
from grader.course import Chapter, Course
from grader.files import whole


def hand_out(course: Course, chapter: Chapter, path: Path, *, dry_run: bool = False) -> list[str]:
    """Write the archive of a chapter to `path` and return the files in it, with `dry_run` only the latter.

    Raises DriftError where its notebook is not as it was built: it might hold answers.
    """
    require_built(course, [chapter])
    files = chapter.released
    if not dry_run:
        with whole(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            for place, file in files.items():
                archive.write(file, f"{chapter.name}/{place}")
    return list(files)
