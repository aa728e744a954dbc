"""The data folder: proves that its files are what `SHA256SUMS` says, and unpacks those that torchvision reads unpacked.

`grader data` calls `prepare`, `grader data --remove` calls `remove`. Nothing here downloads anything.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import uuid
import zlib
from dataclasses import dataclass
from pathlib import Path

from grader.course import Course
from grader.errors import DataError

SUMS = "SHA256SUMS"
PARTIAL = ".partial"
CHUNK = 1 << 20
NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True)
class Damage:
    """One data file that is not as it was published, and what to do about it."""

    path: Path
    found: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}: {self.found}\n    remedy: {self.remedy}"


def data_folder(root: Path) -> Path:
    """Return the data folder of the course at `root`; the environment variable COURSE_DATA moves it."""
    return Course(root).data


def remedy_for(folder: Path, name: str) -> str:
    """Say how to get the file back: from git where the folder is part of a clone, else from the course's own folder."""
    if (folder.parent / ".git").exists():
        return f"git checkout -- {folder.name}/{name}"
    return f"copy {name} there again from the course's data folder"


def sums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each data file, by its name below the folder, as `SHA256SUMS` has them."""
    path = folder / SUMS
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        what = f"no {SUMS}: this is not the course's data folder" if folder.is_dir() else "no such folder"
        raise DataError(f"{folder}: {what}\n    remedy: {remedy_for(folder, SUMS)}, or set COURSE_DATA to the folder") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}\n    remedy: {remedy_for(folder, SUMS)}") from error
    result: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        digest, gap, name = line.partition("  ")
        if len(digest) != 64 or not gap or not name:
            raise DataError(f"{path}:{number}: not a sum and a file name: '{line}'\n    remedy: {remedy_for(folder, SUMS)}")
        result[name] = digest
    return result


def verify(folder: Path) -> list[Damage]:
    """Return what is wrong with the files of the folder; an empty list means that each is there, byte for byte.

    Raises DataError where the sums themselves cannot be read.
    """
    damages: list[Damage] = []
    for name, expected in sums(folder).items():
        path = folder / name
        try:
            with path.open("rb") as file:
                actual = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            damages.append(Damage(path, "missing", remedy_for(folder, name)))
        except OSError as error:
            damages.append(Damage(path, f"cannot be read: {error.strerror}", remedy_for(folder, name)))
        else:
            if actual != expected:
                found = f"changed: its SHA-256 is {actual[:12]}…, published was {expected[:12]}…"
                damages.append(Damage(path, found, remedy_for(folder, name)))
    return damages


def packed_names(folder: Path) -> list[str]:
    """Return the names of the .gz files that the sums have."""
    return [name for name in sums(folder) if name.endswith(".gz")]


def is_unpacked(packed: Path, unpacked: Path) -> bool:
    """Tell whether the unpacked file has the size and the CRC that the last eight bytes of the .gz file state."""
    try:
        with packed.open("rb") as file:
            file.seek(-8, os.SEEK_END)
            trailer = file.read(8)
        size = int.from_bytes(trailer[4:], "little")
        if unpacked.stat().st_size % 2**32 != size:
            return False
        crc = 0
        with unpacked.open("rb") as file:
            while chunk := file.read(CHUNK):
                crc = zlib.crc32(chunk, crc)
    except OSError:
        return False
    return crc == int.from_bytes(trailer[:4], "little")


def copy_unpacked(packed: Path, target: Path) -> None:
    """Write the content of the .gz file to the target, which must not exist; gzip checks length and CRC at the end."""
    if packed.stat().st_size == 0:
        raise EOFError("it is empty")  # Python reads this as nothing, without complaint
    with gzip.open(packed, "rb") as source, target.open("xb") as file:
        while chunk := source.read(CHUNK):
            file.write(chunk)


def unpack_one(folder: Path, name: str) -> Path:
    """Unpack one .gz file: the result appears whole under its name or not at all. Raises DataError with the reason and the remedy."""
    packed = folder / name
    unpacked = packed.with_suffix("")
    partial = unpacked.with_name(f".{unpacked.name}.{uuid.uuid4().hex}{PARTIAL}")
    try:
        copy_unpacked(packed, partial)
        partial.replace(unpacked)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{packed}: damaged: {error}\n    remedy: {remedy_for(folder, name)}") from error
    except OSError as error:
        if error.errno in NO_ROOM:
            remedy = "make room there (all unpacked files take 110 MB), or set COURSE_DATA to a copy of the data folder on another disk"
            raise DataError(f"{unpacked}: the disk is full\n    remedy: {remedy}, then run the command again") from error
        remedy = "let this user write there, or set COURSE_DATA to a copy of the data folder that this user owns"
        raise DataError(f"{unpacked}: cannot be written: {error.strerror}\n    remedy: {remedy}") from error
    finally:
        partial.unlink(missing_ok=True)
    return unpacked


def unpack(folder: Path) -> list[Path]:
    """Unpack each .gz file beside itself, where torchvision looks, and return the files written; what is there and whole is left alone."""
    return [unpack_one(folder, name) for name in packed_names(folder) if not is_unpacked(folder / name, (folder / name).with_suffix(""))]


def prepare(folder: Path) -> list[Path]:
    """Prove the files, then unpack; return the files written. Raises DataError that names every damaged file."""
    if damages := verify(folder):
        raise DataError("\n".join(str(damage) for damage in damages))
    return unpack(folder)


def remove(folder: Path) -> list[Path]:
    """Delete what `unpack` wrote, and what it left when it was killed; return the files deleted."""
    removed: list[Path] = []
    for name in packed_names(folder):
        unpacked = (folder / name).with_suffix("")
        for path in (unpacked, *unpacked.parent.glob(f".{unpacked.name}.*{PARTIAL}")):
            if path.exists():
                path.unlink()
                removed.append(path)
    return removed
