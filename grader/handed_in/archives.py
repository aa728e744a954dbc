"""The files in a folder or an archive, and what their names say: who handed them in, whether late, which attempt."""

from __future__ import annotations

import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from grader.errors import GraderError
from grader.template import MAX_BYTES

MAX_FILES = 20_000  # in one folder or archive, with the archives in it
MAX_TOTAL = 2 * 2**30  # bytes of its notebooks
JUNK = {"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini", ".ipynb_checkpoints"}
# doejane_LATE_1234_56789_05_linear_regression-1.ipynb: name, late, user, attachment, the file's own name
_CANVAS = re.compile(r"(?P<name>[^_/]+)_(?P<late>LATE_)?(?P<user>\d+)_(?P<attachment>\d+)_(?P<file>.+)", re.DOTALL)
# Jane Doe_1234567_assignsubmission_file_/05_linear_regression.ipynb, or both in one name where there are no folders
_MOODLE = re.compile(r"(?P<name>.+)_(?P<user>\d+)_assignsubmission_file_?(?P<file>.*)", re.DOTALL)
_ATTEMPT = re.compile(r"(?:-(?P<canvas>\d{1,3})| \((?P<browser>\d{1,3})\))(?=\.ipynb$)")

_UNREADABLE = (OSError, RuntimeError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)  # forbidden, encrypted, damaged


class ArchiveError(GraderError):
    """What should hold submissions cannot be read."""


@dataclass(frozen=True)
class Found:
    """One file. `content` is None where it is no notebook, or one that cannot be read, with the reason in `problem`."""

    origin: str  # its path in the folder or archive
    called: tuple[str, ...]  # what the platform calls the student: number first, then name
    file: str  # its own name, as the student gave it, without the number of the attempt
    late: bool = False
    attempt: tuple[int, ...] = ()  # greater is later
    content: bytes | None = None
    problem: str = ""


def files(source: Path) -> Iterator[Found]:
    """Yield every file in a folder or zip archive, and in zip archives inside it, but what operating systems leave there.

    Nothing is unpacked to the disk, so a path that climbs out leads nowhere. Raises ArchiveError where `source` cannot be read.
    """
    reader = _Reader(source)
    try:
        yield from reader.folder() if source.is_dir() else reader.archive(source)
    except FileNotFoundError as error:
        raise ArchiveError(f"{source}: no such file or folder\n    remedy: name what was downloaded from the platform") from error
    except (zipfile.BadZipFile, ValueError) as error:  # ValueError: a name that is not in the encoding that it claims
        raise ArchiveError(f"{source}: no zip archive, or a damaged one: {error}\n    remedy: download it again") from error
    except OSError as error:
        raise ArchiveError(f"{source}: cannot be read: {error.strerror or error}\n    remedy: download it again") from error


def _opened(path: Path) -> IO[bytes]:
    return path.open("rb")


class _Reader:
    """Reads a folder or an archive, with one measure for all that it holds, however deep: what is yielded stays in memory."""

    def __init__(self, source: Path) -> None:
        self.source, self.files, self.bytes = source, 0, 0

    def folder(self) -> Iterator[Found]:
        for path in sorted(self.source.rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield from self._file(path.relative_to(self.source).as_posix(), partial(_opened, path), nested=True)

    def archive(self, file: Path | io.BytesIO, inside: str = "") -> Iterator[Found]:
        with zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                if not entry.is_dir():
                    yield from self._file(inside + entry.filename, partial(archive.open, entry), nested=not inside)

    def _file(self, origin: str, opened: Callable[[], IO[bytes]], *, nested: bool) -> Iterator[Found]:
        path = PurePosixPath(origin)
        if JUNK & set(path.parts) or path.name.startswith("._"):
            return
        self._measure(files=1)
        is_archive = nested and path.suffix.lower() == ".zip"
        if not is_archive and path.suffix.lower() != ".ipynb":
            yield _named(origin, None, "no notebook")
            return
        try:
            with opened() as file:  # what an archive says of its sizes is not to be believed
                content = file.read(MAX_BYTES + 1)
        except _UNREADABLE as error:
            yield _named(origin, None, f"cannot be read: {error}")
            return
        self._measure(size=len(content))
        if len(content) > MAX_BYTES:
            yield _named(origin, None, f"it has more than {MAX_BYTES // 2**20} MiB")
        elif is_archive:
            try:
                yield from self.archive(io.BytesIO(content), f"{origin}/")
            except (zipfile.BadZipFile, ValueError) as error:
                yield _named(origin, None, f"cannot be unpacked: {error}")
        else:
            yield _named(origin, content)

    def _measure(self, files: int = 0, size: int = 0) -> None:
        self.files, self.bytes = self.files + files, self.bytes + size
        if self.files > MAX_FILES or self.bytes > MAX_TOTAL:
            most = f"{MAX_FILES} files" if self.files > MAX_FILES else f"{MAX_TOTAL // 2**30} GiB of notebooks"
            raise ArchiveError(f"{self.source}: it holds more than {most}\n    remedy: look at what it holds; collect it in parts")


def _named(origin: str, content: bytes | None, problem: str = "") -> Found:
    parts = [part for part in PurePosixPath(origin.replace("\\", "/")).parts if part not in ("/", "..", ".")]
    last = parts[-1] if parts else origin
    for part in parts:
        if match := _MOODLE.fullmatch(part):
            file, number = _own_name(match["file"] or last)
            return Found(origin, (match["user"], match["name"]), file, False, (number,), content, problem)
        if (part is last or part.lower().endswith(".zip")) and (match := _CANVAS.fullmatch(part)):  # Canvas makes no folders
            file, number = _own_name(last if part is not last else match["file"])
            attempt = (int(match["attachment"]), number)  # Canvas counts; a number in the file's own name may be a browser's
            return Found(origin, (match["user"], match["name"]), file, bool(match["late"]), attempt, content, problem)
    file, number = _own_name(last)
    return Found(origin, tuple(parts[:1]) if len(parts) > 1 else (), file, False, (number,), content, problem)


def _own_name(name: str) -> tuple[str, int]:
    match = _ATTEMPT.search(name)
    return _ATTEMPT.sub("", name), int(match["canvas"] or match["browser"]) if match else 0
