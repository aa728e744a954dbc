"""Writes files whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from grader.errors import GraderError


def write_if_changed(path: Path, content: bytes) -> bool:
    """Write `content` to `path`, whole or not at all; say whether the file changed."""
    if path.is_file() and path.read_bytes() == content:
        return False
    with whole(path) as partial:
        partial.write_bytes(content)
    return True


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a place beside `path` to write to, which then takes its name; GraderError where that cannot be done.

    Whatever ends it before, nothing is left of it, and no folder that was made for it.
    """
    partial = path.with_name(path.name + ".partial")
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except BaseException as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
            for folder in made:
                folder.rmdir()
        if not isinstance(error, OSError):
            raise
        what = f"{error.strerror}: {error.filename}" if error.filename and error.filename != str(partial) else error.strerror
        raise GraderError(f"{path}: cannot be written: {what}\n    remedy: make room on the disk, or make the folder writable") from error
