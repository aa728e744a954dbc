"""What all commands share."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from grader.course import Chapter, Course
from grader.errors import GraderError

console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 140)

Lessons = Annotated[list[str] | None, typer.Argument(help="Chapters by number, name or path; all where none is named.")]


def select(lessons: list[str] | None) -> tuple[Course, list[Chapter]]:
    """Return the course and the chapters that the command line names."""
    course = Course.find()
    return course, course.chapters(lessons)


def fail(error: GraderError | str) -> NoReturn:
    """Print the error and leave with exit code 1."""
    console.print(str(error), style="red", markup=False)
    raise typer.Exit(1)


def number_of(count: int, what: str) -> str:
    """Return such as `1 chapter`, `2 chapters`."""
    return f"{count} {what}{'s' * (count != 1)}"


@contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Yield a function that raises KeyboardInterrupt where Ctrl-C came before.

    Python raises it by itself, but whoever runs just then may catch it, and in a callback or a destructor it is lost.
    """
    asked = threading.Event()

    def interrupt(*_: object) -> None:
        asked.set()
        raise KeyboardInterrupt

    def stop_if_asked() -> None:
        if asked.is_set():
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield stop_if_asked
    finally:
        signal.signal(signal.SIGINT, before)
