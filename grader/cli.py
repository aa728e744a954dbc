"""The `grader` command: parses, calls, prints."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from grader.course import Chapter, Course
from grader.errors import GraderError

if TYPE_CHECKING:
    from grader.proof import Step

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
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


@app.command()
def build(
    lessons: Lessons = None,
    force: Annotated[bool, typer.Option(help="Execute even where no code changed.")] = False,
    figures: Annotated[Path | None, typer.Option(help="Also save the figures of executed notebooks below this folder.")] = None,
) -> None:
    """Build the instructor and student notebooks of what changed."""
    from grader.build import build as run
    from grader.build import write_if_changed
    from grader.readme import updated

    course, chapters = select(lessons)
    failed = False
    for built in run(course, chapters, force=force or figures is not None, figures=figures):
        if built.error:
            failed = True
            console.print(str(built.error), style="red", markup=False)
        else:
            what = "executed" if built.executed else "up to date" if not built.written else "rebuilt"
            console.print(
                f"{built.chapter.name}: {what}", *(f"\n    wrote {path.relative_to(course.root)}" for path in built.written), sep=""
            )
    if failed:
        raise typer.Exit(1)
    if course.readme.is_file():
        write_if_changed(course.readme, updated(course, course.readme.read_text(encoding="utf-8")).encode())


@app.command()
def check(lessons: Lessons = None) -> None:
    """Prove that the committed notebooks are what the sources say, and leak nothing."""
    from grader.check import check as run
    from grader.check import orphans, readme

    start = time.perf_counter()
    course, chapters = select(lessons)
    errors = [] if lessons else [*orphans(course), *readme(course)]
    for chapter, found in run(course, chapters):
        console.print(f"{chapter.name}: {'ok' if not found else f'{len(found)} errors'}")
        errors += found
    for error in errors:
        console.print(str(error), style="red", markup=False)
    console.print(f"checked {len(chapters)} chapters in {time.perf_counter() - start:.1f} s")
    if errors:
        raise typer.Exit(1)


@app.command()
def audit(lessons: Lessons = None) -> None:
    """Prove the checks: wrong answers caught, right ones accepted, mutants killed."""
    from grader.audit import audit as run
    from grader.audit_print import show
    from grader.lesson import read

    _, chapters = select(lessons)
    failed = False
    for chapter in chapters:
        try:
            report = run(chapter)
        except GraderError as error:
            failed = True
            console.print(str(error), style="red", markup=False)
            continue
        show(report, read(chapter.source), console)
        failed = failed or any(True for _ in report.faults())
    if failed:
        raise typer.Exit(1)


@app.command()
def test(lessons: Lessons = None) -> None:
    """Run everything that CI runs; with chapters named, what is tested about them."""
    from grader.proof import about, everything

    course, chapters = select(lessons)
    _prove(course, about(chapters) if lessons else everything(course))


@app.command()
def portable(lessons: Lessons = None) -> None:
    """Run the instructor notebooks as other processors would: without vector instructions, with two threads."""
    from grader.proof import elsewhere

    course, chapters = select(lessons)
    _prove(course, elsewhere(chapters))


def _prove(course: Course, steps: list[Step]) -> None:
    from grader.proof import prove
    from grader.proof_print import show, summary

    outcomes = []
    for outcome in prove(course, steps):
        show(outcome, console)
        outcomes.append(outcome)
    summary(outcomes, console)
    if not all(outcome.passed for outcome in outcomes):
        raise typer.Exit(1)


@app.command()
def data(
    remove: Annotated[bool, typer.Option("--remove", help="Delete what was unpacked.")] = False,
) -> None:
    """Prove that the data files are as published, and unpack those that are read unpacked."""
    from grader import data as files

    folder = Course.find().data
    for path in files.remove(folder) if remove else files.prepare(folder):
        console.print(f"{'removed' if remove else 'unpacked'} {path}", markup=False)


def main() -> None:
    """Run the command; a GraderError is a message, not a traceback."""
    try:
        app()
    except GraderError as error:
        console.print(str(error), style="red", markup=False)
        raise SystemExit(1) from error
