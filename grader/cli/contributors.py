"""What contributors call: to begin, build and prove a chapter."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grader.cli.common import Lessons, console, number_of, select
from grader.course import Chapter, Course
from grader.errors import GraderError, LessonError

if TYPE_CHECKING:
    from grader.proof import Step

app = typer.Typer()
PANEL = "For contributors"

WATCH_SECONDS = 0.5  # between two looks at a lesson


@app.command(rich_help_panel=PANEL)
def new(
    number: Annotated[str, typer.Argument(help="Two digits.", metavar="LESSON")],
    title: Annotated[str, typer.Option(help="The chapter's title.")],
) -> None:
    """Write the lesson of a new chapter, which builds, checks and audits green, and build it."""
    from grader.new import new_lesson

    course = Course.find()
    path = new_lesson(course, number, title)
    console.print(f"wrote {path.relative_to(course.root)}")
    build([number])


@app.command(rich_help_panel=PANEL)
def watch(lesson: Annotated[str, typer.Argument(help="The chapter, by number, name or path.")]) -> None:
    """Build a chapter whenever its lesson is saved, until Ctrl-C."""
    course, (chapter,) = select([lesson])
    console.print(
        f"watching {chapter.source.relative_to(course.root)}; Ctrl-C ends it. When it says `wrote`, reload the notebook in JupyterLab"
    )
    seen = None
    while True:
        saved = chapter.source.stat().st_mtime_ns if chapter.source.is_file() else None  # an editor may replace the file
        if saved and saved != seen:
            seen = saved
            try:  # what is wrong, the next save may mend
                build([chapter.name])
            except GraderError as error:  # also of another lesson, which the tables of chapters read
                console.print(str(error), style="red", markup=False)
            except typer.Exit:
                continue  # the reason has been printed
        time.sleep(WATCH_SECONDS)


@app.command(rich_help_panel=PANEL)
def build(
    lessons: Lessons = None,
    force: Annotated[bool, typer.Option(help="Execute even where no code changed.")] = False,
    figures: Annotated[Path | None, typer.Option(help="Also save the figures of executed notebooks below this folder.")] = None,
) -> None:
    """Build the instructor and student notebooks of what changed."""
    from grader import readme, welcome
    from grader.build import build as run

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
    for page, changed in ((course.readme, readme.update(course)), (welcome.path(course), welcome.update(course))):
        if changed:
            console.print(f"wrote {page.relative_to(course.root)}")


@app.command(rich_help_panel=PANEL)
def check(lessons: Lessons = None) -> None:
    """Prove that the committed notebooks are what the sources say, and leak nothing."""
    from grader.check import check as run
    from grader.check import orphans, readme, welcome

    start = time.perf_counter()
    course, chapters = select(lessons)
    errors = [] if lessons else [*orphans(course), *readme(course), *welcome(course)]
    for chapter, found in run(course, chapters):
        count = sum(len(error.findings) if isinstance(error, LessonError) else 1 for error in found)
        console.print(f"{chapter.name}: {number_of(count, 'error') if count else 'ok'}")
        errors += found
    for error in errors:
        console.print(str(error), style="red", markup=False)
    console.print(f"checked {number_of(len(chapters), 'chapter')} in {time.perf_counter() - start:.1f} s")
    if errors:
        raise typer.Exit(1)


@app.command(rich_help_panel=PANEL)
def audit(
    lessons: Lessons = None,
    split_mutants: Annotated[bool, typer.Option(help="The engine judges mutants too, not only right, wrong, blank answers.")] = True,
) -> None:
    """Prove the checks: wrong answers caught, right ones accepted, mutants killed."""
    from grader.audit import audits
    from grader.audit_print import show
    from grader.lesson import read

    start = time.perf_counter()
    _, chapters = select(lessons)
    failed = []
    for chapter, report in zip(chapters, audits(chapters, split_mutants=split_mutants), strict=True):
        if isinstance(report, GraderError):
            failed.append(chapter.name)
            console.print(str(report), style="red", markup=False)
            continue
        show(report, read(chapter.source), console)
        if any(True for _ in report.faults()):
            failed.append(chapter.name)
    verdict = f"not proved: {', '.join(failed)}" if failed else "all proved"
    console.print(f"audited {number_of(len(chapters), 'chapter')} in {time.perf_counter() - start:.1f} s, {verdict}")
    if failed:
        raise typer.Exit(1)


@app.command(rich_help_panel=PANEL)
def test(lessons: Lessons = None) -> None:
    """Run everything that CI runs; with chapters named, what is tested about them."""
    from grader.proof import about, everything

    course, chapters = select(lessons)
    _prove(course, chapters, about(chapters) if lessons else everything(course))


@app.command(rich_help_panel=PANEL)
def portable(lessons: Lessons = None) -> None:
    """Run the instructor notebooks as other processors would: without vector instructions, with two threads."""
    from grader.proof import elsewhere

    course, chapters = select(lessons)
    _prove(course, chapters, elsewhere(chapters))


def _prove(course: Course, chapters: list[Chapter], steps: list[Step]) -> None:
    from grader.proof import run, time_limit
    from grader.proof_print import show, summary

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # leave by way of `run`, which ends the step
    outcomes = []
    for step in steps:
        with console.status(step.name):
            outcomes.append(run(step, course.root, time_limit(chapters)))
        show(outcomes[-1], console)
    summary(outcomes, console)
    if not all(outcome.passed for outcome in outcomes):
        raise typer.Exit(1)


@app.command(rich_help_panel=PANEL)
def data(
    remove: Annotated[bool, typer.Option("--remove", help="Delete what was unpacked.")] = False,
) -> None:
    """Prove that the data files are as published, and unpack those that are read unpacked."""
    from grader import data as files

    folder = Course.find().data
    for path in files.remove(folder) if remove else files.prepare(folder):
        console.print(f"{'removed' if remove else 'unpacked'} {path}", markup=False)
