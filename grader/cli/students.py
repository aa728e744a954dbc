"""What students call: how far they are, a newer edition, handing in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grader.cli.common import Lessons, console
from grader.course import Chapter, Course

app = typer.Typer()
PANEL = "For students"


def released(lessons: list[str] | None) -> tuple[Course, list[Chapter]]:
    """Return the course and those of its students' notebooks that the command line names."""
    course = Course.find()
    return course, course.released(lessons)


@app.command(rich_help_panel=PANEL)
def progress(
    lessons: Lessons = None,
    picture: Annotated[Path | None, typer.Option(help="Also draw it into this file, such as progress.png.")] = None,
) -> None:
    """Show which of your exercises pass their checks; of chapters that you name, every exercise with what its check says."""
    from grader.student.progress import progress as run
    from grader.student.progress_print import draw, show

    course, chapters = released(lessons)
    with console.status("running your checks"):
        found = list(run(course, chapters))
    show(found, console, details=bool(lessons))
    if picture:
        draw(found, picture)
        console.print(f"wrote {picture}", markup=False)
    if any(chapter.problem for chapter in found):
        raise typer.Exit(1)


@app.command(rich_help_panel=PANEL)
def update(
    source: Annotated[
        Path | None, typer.Option("--from", help="The folder in which you worked before; without it, git brings the newest edition.")
    ] = None,
) -> None:
    """Bring the newest edition of the notebooks, and your answers with it; what you wrote is copied to backups/ before."""
    from grader.student.edition import UpdateError, from_folder, from_git
    from grader.student.running import open_chapters

    course = Course.find()
    if running := open_chapters(course):
        remedy = "save them, close them with `File`, `Close and Shut Down Notebook`, and run this again"
        raise UpdateError(f"open in JupyterLab: {', '.join(chapter.name for chapter in running)}\n    remedy: {remedy}")
    found = list(from_folder(course, source) if source else from_git(course))
    for updated in found:
        console.print(f"{updated.chapter}: your work is in the new edition", markup=False)
        for note in updated.notes:
            console.print(f"    {note}", markup=False)
    if not found:
        console.print("no notebook of yours had to be changed")


@app.command(rich_help_panel=PANEL)
def submit(lesson: Annotated[str, typer.Argument(help="The chapter, by number, name or path.")]) -> None:
    """Look at your notebook, run its visible checks, and write hand-in/<chapter>.ipynb with a receipt."""
    from grader.student.handin import hand_in
    from grader.student.progress import State
    from grader.student.running import open_chapters

    course, (chapter,) = released([lesson])
    with console.status("running your checks"):
        made = hand_in(course, chapter)
    for state in (State.UNTOUCHED, State.FAILING):
        names = [standing.exercise for standing in made.standings if standing.state is state]
        if names:
            console.print(f"{state}: {', '.join(names)}", style="yellow", markup=False)
    done = sum(standing.state in (State.PASSING, State.WRITTEN) for standing in made.standings)
    console.print(f"{done} of {len(made.standings)} exercises pass their visible checks")
    console.print(f"wrote {made.file.relative_to(course.root)}; SHA-256 {made.digest}", markup=False)
    if chapter in open_chapters(course):
        console.print("JupyterLab has the notebook open: what is not saved there is not in this file", style="yellow")
    console.print("Hand in this file. If you go on working, run this again.")
