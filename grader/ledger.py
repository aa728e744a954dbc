"""The only module that knows nbgrader: releases notebooks, and keeps marks in its gradebook."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.converters import GenerateAssignment
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from grader.course import CONFIG_NAME, Chapter, Course
from grader.errors import BuildError

LOG = logging.getLogger(__name__)
RAISES_TAG = "raises-exception"


class TagForRunAll(NbGraderPreprocessor):
    """Tags answers and checks so that JupyterLab's Run All carries on past those that are not solved yet."""

    def preprocess_cell(self, cell: NotebookNode, resources: dict[str, Any], cell_index: int) -> tuple[NotebookNode, dict[str, Any]]:  # noqa: ARG002  (nbgrader calls it so)
        """Return the cell tagged."""
        if cell.cell_type == "code" and (utils.is_grade(cell) or utils.is_solution(cell)):
            cell.metadata["tags"] = [RAISES_TAG]
        return cell, resources


def release(course: Course, chapters: list[Chapter], destination: Path) -> list[Path]:
    """Write the student notebooks of `chapters` below `destination`, by nbgrader's own generator; the gradebook is not touched.

    Returns the files written; raises BuildError with nbgrader's own words where it refuses a notebook.
    """
    config = _config(course)
    config.CourseDirectory.release_directory = str(destination.resolve())
    config.SaveCells.enabled = False
    config.GenerateAssignment.no_database = True
    config.GenerateAssignment.force = True
    written = []
    for chapter in chapters:
        config.CourseDirectory.assignment_id = chapter.name
        _convert(GenerateAssignment, config, chapter.instructor)
        written.append(destination / chapter.name / f"{chapter.name}.ipynb")
    return written


def _config(course: Course) -> Config:
    config = PyFileConfigLoader(CONFIG_NAME, path=str(course.root)).load_config()
    config.CourseDirectory.root = str(course.root)
    return config


def _convert(converter: type[Any], config: Config, source: Path) -> None:
    log = logging.Logger("nbgrader", level=logging.WARNING)
    messages = _Messages()
    log.addHandler(messages)
    coursedir = CourseDirectory(config=config, log=log)
    try:
        converter(coursedir=coursedir, config=config, log=log).start()
    except Exception as error:
        raise BuildError(f"{source}: nbgrader refused it: {error}\n" + "\n".join(messages.lines)) from error


class _Messages(logging.Handler):
    """Collects what nbgrader logs, to be told only where something goes wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
