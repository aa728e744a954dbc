"""Where everything lies: the one place that knows the layout of the repository."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from grader.errors import GraderError

CONFIG_NAME = "nbgrader_config.py"


@dataclass(frozen=True)
class Chapter:
    """The files of one chapter; `name` is its folder, such as `05_linear_regression`."""

    name: str
    root: Path

    @property
    def number(self) -> str:
        """The digits that its name begins with, such as `05`."""
        return self.name.partition("_")[0]

    @property
    def source(self) -> Path:
        """The lesson source, the only file that is written by hand."""
        return self.root / "solutions" / self.name / f"{self.name}.py"

    @property
    def instructor(self) -> Path:
        """The instructor notebook: executed, with answers and hidden tests."""
        return self.source.with_suffix(".ipynb")

    @property
    def student(self) -> Path:
        """The student notebook: released by nbgrader, without outputs."""
        return self.root / "notebooks" / self.name / f"{self.name}.ipynb"

    @property
    def released(self) -> dict[str, Path]:
        """What students get of it, by its place in their folder: the notebook, and the files beside it."""
        return {self.student.name: self.student, **attachments(self.student.parent)}

    @property
    def attachments(self) -> dict[str, Path]:
        """What else lies in the chapter's folder, for its cells to read: relative path → file."""
        return attachments(self.source.parent)

    @property
    def files(self) -> tuple[Path, Path, Path]:
        """The source and what is built from it."""
        return self.source, self.instructor, self.student


@dataclass(frozen=True)
class Course:
    """A course folder: the one that holds `nbgrader_config.py`."""

    root: Path

    @classmethod
    def find(cls, start: Path | None = None) -> Course:
        """Return the course that `start` (default: the working directory) lies in; GraderError where there is none."""
        start = (start or Path.cwd()).resolve()
        for folder in (start, *start.parents):
            if (folder / CONFIG_NAME).is_file():
                return cls(folder)
        raise GraderError(f"{start}: no {CONFIG_NAME} here or in a folder above\n    remedy: run the command inside the course folder")

    @property
    def data(self) -> Path:
        """The data folder; the environment variable COURSE_DATA moves it."""
        return Path(os.environ.get("COURSE_DATA", self.root / "data")).resolve()

    @property
    def config(self) -> Path:
        """The settings of nbgrader."""
        return self.root / CONFIG_NAME

    @property
    def readme(self) -> Path:
        """The README; its table of chapters is built."""
        return self.root / "README.md"

    @property
    def gradebook(self) -> Path:
        """The folder of submissions, marks and feedback; it exists at run time only."""
        return self.root / "gradebook"

    def released(self, selection: list[str] | None = None) -> list[Chapter]:
        """Return the chapters found in `notebooks/`, as `chapters` does: a student may have no `solutions/`."""
        found = sorted(self.root.glob("notebooks/*/*.ipynb"))
        return self._select([Chapter(path.stem, self.root) for path in found if path.stem == path.parent.name], selection)

    def chapters(self, selection: list[str] | None = None) -> list[Chapter]:
        """Return the chapters found in `solutions/`, in order; a selection names them by number (`05`), name, or path.

        Raises GraderError for a selection that matches nothing.
        """
        found = [
            Chapter(source.stem, self.root) for source in sorted(self.root.glob("solutions/*/*.py")) if source.stem == source.parent.name
        ]
        return self._select(found, selection)

    def _select(self, found: list[Chapter], selection: list[str] | None) -> list[Chapter]:
        if not selection:
            return found
        chosen: list[Chapter] = []
        for wanted in selection:
            name = Path(wanted).stem
            matches = [chapter for chapter in found if chapter.name == name or chapter.number == name.zfill(2)]
            if not matches:
                known = ", ".join(chapter.name for chapter in found) or "none"
                raise GraderError(f"no chapter '{wanted}' in {self.root}\n    remedy: choose one of: {known}")
            chosen += matches
        return sorted(set(chosen), key=lambda chapter: chapter.name)


def attachments(folder: Path) -> dict[str, Path]:
    """Return the files of a chapter's folder that are neither notebooks nor Python: relative path → file."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix not in (".py", ".pyc", ".ipynb"))
    places = {path.relative_to(folder): path for path in found}
    return {place.as_posix(): path for place, path in places.items() if ".ipynb_checkpoints" not in place.parts}
