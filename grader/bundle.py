"""The archive that students get: notebooks, data, program and environment, and nothing that tells an answer."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader import data, welcome
from grader.check import require_built
from grader.course import CONFIG_NAME, Chapter, Course
from grader.files import whole
from grader.notebook import dumps

NAME = "deep-learning"  # of the folder inside
EPOCH = (2020, 1, 1, 0, 0, 0)  # of every file, so that the same course makes the same archive
PROGRAM = ("Makefile", "pyproject.toml", "requirements.lock", "environment.yml", "LICENSE", CONFIG_NAME)
PROGRAM_FOLDERS = ("grader", "lab", "tools")
LEFT_OUT = {"tests", "browser_tests", "bench", "class_answers", "__pycache__"}

README = """# Deep learning, from `enumerate` to a Transformer that translates

You need Python 3.11 or newer and 14 GB of free disk while it sets up. The first start downloads PyTorch and the rest, 3.2 GB.

On Linux and macOS, in this folder:

    make lab

On Windows, in this folder, once:

    py -m venv .venv
    .venv\\Scripts\\python -m pip install --no-deps -r requirements.lock
    .venv\\Scripts\\python -m pip install --no-deps --no-build-isolation -e .
    xcopy /E /Y lab\\environment .venv
    .venv\\Scripts\\grader data

and then, every time:

    .venv\\Scripts\\jupyter lab --ServerApp.root_dir=notebooks --LabApp.default_url=/lab/tree/welcome.ipynb

JupyterLab opens on a page that says everything else. When a newer edition comes, unpack it into another folder, and there run
`make update FROM=this-folder` (on Windows `.venv\\Scripts\\grader update --from this-folder`): it takes your answers along.
"""


@dataclass(frozen=True)
class Bundle:
    """The archive, and the bytes that each part takes in it."""

    path: Path
    parts: dict[str, int]


def bundle(course: Course, chapters: Sequence[Chapter], path: Path) -> Bundle:
    """Write the archive with these chapters to `path`.

    Raises GraderError where a notebook is not as it was built (it might hold answers), or where it cannot be written.
    """
    require_built(course, chapters)
    with whole(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        parts = {part: _write(archive, files) for part, files in _parts(course, chapters)}
    return Bundle(path, parts)


def _parts(course: Course, chapters: Sequence[Chapter]) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield each part with the content of its files by their place in the folder."""
    for chapter in chapters:
        yield chapter.name, {f"notebooks/{chapter.name}/{place}": file.read_bytes() for place, file in chapter.released.items()}
    names = [data.SUMS, "README.md", *data.sums(course.data)]
    yield "data", {f"data/{name}": (course.data / name).read_bytes() for name in names}
    program = {name: (course.root / name).read_bytes() for name in PROGRAM}
    for name in PROGRAM_FOLDERS:
        program |= {file.relative_to(course.root).as_posix(): file.read_bytes() for file in _files(course.root / name)}
    program["notebooks/welcome.ipynb"] = dumps(welcome.page(course, chapters)).encode()
    program["README.md"] = README.encode()
    yield "program", program


def _files(folder: Path) -> list[Path]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [path for path in found if not LEFT_OUT & set(path.relative_to(folder).parts) and path.suffix != ".pyc"]


def _write(archive: zipfile.ZipFile, files: dict[str, bytes]) -> int:
    """Add the files; return how many bytes they take."""
    before = archive.fp.tell() if archive.fp else 0
    for name, content in files.items():
        entry = zipfile.ZipInfo(f"{NAME}/{name}", EPOCH)
        entry.external_attr = 0o644 << 16
        packed = name.endswith(".gz")
        archive.writestr(entry, content, zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED, 9)
    return archive.fp.tell() - before if archive.fp else 0
