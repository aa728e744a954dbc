"""Runs nbgrader's own converters with the course's settings."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from nbgrader.converters import GenerateAssignment
from nbgrader.coursedir import CourseDirectory
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from grader.course import CONFIG_NAME, Chapter, Course
from grader.errors import BuildError

MOST_LINES = 12  # of what nbgrader complains about


def release(course: Course, chapters: list[Chapter], destination: Path) -> list[Path]:
    """Write the student notebooks of `chapters` below `destination`, by nbgrader's own generator; the gradebook is not touched.

    Returns the files written; raises BuildError with nbgrader's own words where it refuses a notebook.
    """
    config = course_config(course)
    config.CourseDirectory.release_directory = str(destination.resolve())
    config.SaveCells.enabled = False
    config.GenerateAssignment.no_database = True
    config.GenerateAssignment.force = True
    written = []
    for chapter in chapters:
        config.CourseDirectory.assignment_id = chapter.name
        if refused := convert(GenerateAssignment, config):
            raise BuildError(f"{chapter.instructor}: nbgrader refused it: {refused}")
        written.append(destination / chapter.name / f"{chapter.name}.ipynb")
    return written


def course_config(course: Course) -> Config:
    """Return what `nbgrader_config.py` says, with paths that do not depend on the working directory."""
    config = PyFileConfigLoader(CONFIG_NAME, path=str(course.root)).load_config()
    config.CourseDirectory.root = str(course.root)
    config.CourseDirectory.db_url = db_url(course)
    return config


def db_url(course: Course) -> str:
    """Return the address of the gradebook's database."""
    return f"sqlite:///{database(course)}"


def database(course: Course) -> Path:
    """Return the file of the gradebook's database."""
    return course.gradebook / "gradebook.db"


def convert(converter: type[Any], config: Config) -> str:
    """Run one of nbgrader's converters; return what it complained about where it failed, and nothing where all is well."""
    log = logging.Logger("nbgrader", level=logging.WARNING)
    messages = _Messages()
    log.addHandler(messages)
    try:
        converter(coursedir=CourseDirectory(config=config, log=log), config=config, log=log).start()
    except Exception as error:
        return "\n".join([str(error) or type(error).__name__, *messages.lines])
    return ""


class _Messages(logging.Handler):
    """Collects what nbgrader logs, to be told only where something goes wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what a message says, without the lines of a traceback; of two hundred lines nobody reads one."""
        said = [line for line in record.getMessage().splitlines() if line and not line.startswith((" ", "Traceback"))]
        self.lines += said[: MOST_LINES - len(self.lines)]
