"""The files in a folder or an archive, and what their names say: who handed them in, whether late, which attempt."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from grader.errors import GraderError
from grader.template import MAX_BYTES

MAX_FILES = 20_000  # in one archive
MAX_TOTAL = 4 * 2**30  # bytes that an archive may unpack to
JUNK = {"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini", ".ipynb_checkpoints"}
# doejane_LATE_1234_56789_05_linear_regression-1.ipynb: name, late, user, attachment, the file's own name
_CANVAS = re.compile(r"(?P<name>[^_/]+)_(?P<late>LATE_)?(?P<user>\d+)_(?P<attachment>\d+)_(?P<file>.+)", re.DOTALL)
# Jane Doe_1234567_assignsubmission_file_/05_linear_regression.ipynb, or both in one name where there are no folders
_MOODLE = re.compile(r"(?P<name>.+)_(?P<user>\d+)_assignsubmission_file_?(?P<file>.*)", re.DOTALL)
_ATTEMPT = re.compile(r"(?:-(?P<canvas>\d{1,3})| \((?P<browser>\d{1,3})\))(?=\.ipynb$)")


class ArchiveError(GraderError):
    """What should hold submissions cannot be read."""


@dataclass(frozen=True)
class Found:
    """One file. `content` is None where it is too large, with the reason in `problem`."""

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
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield from _file(path.relative_to(source).as_posix(), _whole(path), path.stat().st_size)
        return
    try:
        yield from _unpacked(source, "")
    except FileNotFoundError as error:
        raise ArchiveError(f"{source}: no such file or folder\n    remedy: name what was downloaded from the platform") from error
    except zipfile.BadZipFile as error:
        raise ArchiveError(f"{source}: no zip archive, or a damaged one: {error}\n    remedy: download it again") from error
    except OSError as error:
        raise ArchiveError(f"{source}: cannot be read: {error.strerror or error}\n    remedy: download it again") from error


def _whole(path: Path) -> bytes:
    return path.read_bytes() if path.stat().st_size <= MAX_BYTES else b""


def _unpacked(source: Path | io.BytesIO, inside: str) -> Iterator[Found]:
    total = 0
    with zipfile.ZipFile(source) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        if len(entries) > MAX_FILES:
            raise zipfile.BadZipFile(f"it holds more than {MAX_FILES} files")
        for entry in entries:
            content = b""
            try:
                with archive.open(entry) as file:  # what the archive says of its sizes is not to be believed
                    content = file.read(MAX_BYTES + 1)
            except (RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error, EOFError) as error:  # encrypted, damaged
                yield _named(inside + entry.filename, None, f"cannot be unpacked: {error}")
                continue
            total += len(content)
            if total > MAX_TOTAL:
                raise zipfile.BadZipFile(f"it unpacks to more than {MAX_TOTAL // 2**30} GiB")
            yield from _file(inside + entry.filename, content, len(content), nested=not inside)


def _file(origin: str, content: bytes, size: int, *, nested: bool = True) -> Iterator[Found]:
    if JUNK & set(PurePosixPath(origin).parts) or PurePosixPath(origin).name.startswith("._"):
        return
    if size > MAX_BYTES:
        yield _named(origin, None, f"it has more than {MAX_BYTES // 2**20} MiB")
    elif nested and origin.lower().endswith(".zip"):
        try:
            yield from _unpacked(io.BytesIO(content), f"{origin}/")
        except zipfile.BadZipFile as error:
            yield _named(origin, None, f"cannot be unpacked: {error}")
    else:
        yield _named(origin, content)


def _named(origin: str, content: bytes | None, problem: str = "") -> Found:
    parts = [part for part in PurePosixPath(origin.replace("\\", "/")).parts if part not in ("/", "..", ".")]
    last = parts[-1] if parts else origin
    for part in parts:
        if match := _MOODLE.fullmatch(part):
            file, number = _own_name(match["file"] or last)
            return Found(origin, (match["user"], match["name"]), file, False, (number,), content, problem)
        if match := _CANVAS.fullmatch(part):
            file, number = _own_name(last if part is not last else match["file"])
            attempt = (int(match["attachment"]), number)  # Canvas counts; a number in the file's own name may be a browser's
            return Found(origin, (match["user"], match["name"]), file, bool(match["late"]), attempt, content, problem)
    file, number = _own_name(last)
    return Found(origin, tuple(parts[:1]) if len(parts) > 1 else (), file, False, (number,), content, problem)


def _own_name(name: str) -> tuple[str, int]:
    match = _ATTEMPT.search(name)
    return _ATTEMPT.sub("", name), int(match["canvas"] or match["browser"]) if match else 0
