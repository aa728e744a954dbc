"""The `grader` command: parses, calls, prints. What takes long to import is imported where it is called."""

from __future__ import annotations

import typer

from grader.cli import contributors, instructors, students
from grader.cli.common import console
from grader.errors import GraderError
from grader.safe_text import visible

__all__ = ["app", "main"]

app = typer.Typer(help="The course's command.", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for part in (students, instructors, contributors):
    app.add_typer(part.app)


def main() -> None:
    """Run the command; a GraderError is a message, not a traceback."""
    try:
        app()
    except GraderError as error:
        console.print(visible(str(error)), style="red", markup=False)
        raise SystemExit(1) from error
