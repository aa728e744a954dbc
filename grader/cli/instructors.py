"""What instructors call, in the order of a deadline: from what is given out to marks, a report, feedback and the export."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from grader.cli.common import Lessons, console, fail, interruptible, select
from grader.safe_text import visible

app = typer.Typer()
PANEL = "For instructors"

MOST_FREQUENT = 5  # mistakes of a class that are told in the terminal
UNGRADED = "nothing of what was asked for is graded\n    remedy: run `make grade`"
UNSAFE = """WITHOUT A SANDBOX: what students wrote runs with your rights. It can read the solutions and the gradebook, change marks, delete
your files and use the network. The graded copies and the list of problems will say so."""


class Engine(StrEnum):
    """What grades."""

    OWN = "own"
    NBGRADER = "nbgrader"


@app.command(rich_help_panel=PANEL)
def bundle(
    lessons: Lessons = None,
    path: Annotated[Path | None, typer.Option(help="The archive; dist/deep-learning.zip where it is not given.")] = None,
) -> None:
    """Write one archive for students: notebooks, data, program and environment, no solutions."""
    from grader.bundle import NAME
    from grader.bundle import bundle as run

    course, chapters = select(lessons)
    made = run(course, chapters, path or course.root / "dist" / f"{NAME}.zip")
    for part, size in made.parts.items():
        console.print(f"{size / 2**20:8.2f} MiB  {part}", markup=False)
    console.print(f"{made.path.stat().st_size / 2**20:8.2f} MiB  {made.path}", markup=False)


@app.command(rich_help_panel=PANEL)
def release(
    lesson: Annotated[str, typer.Argument(help="The chapter, by number, name or path.")],
    time: Annotated[str | None, typer.Argument(help="When it is due, such as '2026-11-30 23:59 +0100'.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Write dist/<chapter>.zip to upload for students: the notebook and its files, proved to hold no answers; and set when it is due.

    Example: grader release 05 "2026-11-30 23:59 +0100"
    """
    from grader.hand_out import hand_out

    course, (chapter,) = select([lesson])
    path = course.root / "dist" / f"{chapter.name}.zip"
    held = hand_out(course, chapter, path, dry_run=dry_run)
    console.print(f"{path.relative_to(course.root)}: {', '.join(held)}", markup=False)
    if dry_run:
        console.print("nothing was written: --dry-run")
        return
    if time:
        from grader.ledger import lateness

        console.print(f"{chapter.name} is due {lateness.set_due(course, chapter, time)}", markup=False)
    console.print("Next: upload it. When the class has handed in: make collect")


@app.command(rich_help_panel=PANEL)
def due(
    lesson: Annotated[str, typer.Argument(help="The chapter, by number, name or path.")],
    time: Annotated[str | None, typer.Argument(help="Such as '2026-11-30 23:59 +0100'; without a zone it is UTC.")] = None,
    never: Annotated[bool, typer.Option("--never", help="Take the due date away.")] = False,
) -> None:
    """Say when a chapter is due, or set it; formgrader shows the same. What lateness costs stands in nbgrader_config.py.

    Students with extra time stand in gradebook/extra_time.csv: student, hours, and perhaps chapter.

    Example: grader due 05 "2026-11-30 23:59 +0100"
    """
    from grader.ledger import lateness

    course, (chapter,) = select([lesson])
    at = lateness.set_due(course, chapter, time or "") if time or never else lateness.due(course, chapter)
    console.print(f"{chapter.name} is due {at}" if at else f"{chapter.name} has no due date", markup=False)


@app.command(rich_help_panel=PANEL)
def collect(
    source: Annotated[Path, typer.Argument(help="A zip archive as Canvas or Moodle gives it, or a folder.")],
    lesson: Annotated[str | None, typer.Argument(help="The chapter that was asked for; all where none is named.")] = None,
    roster: Annotated[Path | None, typer.Option(help="The list of the class as CSV; it is kept for the next time.")] = None,
    late_by: Annotated[float, typer.Option(help="Hours after the due date for what the platform calls late; it does not say more.")] = 24.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Put what a class handed in into gradebook/submitted, and say who is missing, late or unknown.

    Example: grader collect ~/Downloads/submissions.zip 05 --roster class.csv
    """
    from grader.handed_in import roster as lists
    from grader.handed_in.collect import handed_in, sort, write
    from grader.handed_in.collect_print import show
    from grader.ledger import lateness

    course, chapters = select([lesson] if lesson else None)
    known = lists.read(roster) if roster else lists.load(course)
    with console.status("reading"):
        collection = sort(course, handed_in(course, source), known, chapters[0] if lesson else None)
    show(collection, known, console)
    if not collection.chosen:
        fail(f"{source}: nothing to grade\n    remedy: name what was downloaded from the platform; what is wrong with it stands above")
    if dry_run:
        console.print("nothing was written: --dry-run")
        return
    if roster and known:
        lists.keep(course, known)
    late = {}
    for late_one in {attempt.chapter for attempt in collection.late}:
        if came := lateness.later(course, late_one, late_by):
            late[late_one.name] = came
        else:
            console.print(f"{late_one.name}: nobody said when it is due: being late costs nothing", style="yellow", markup=False)
            console.print(f'    remedy: grader due {late_one.number} "2026-11-30 23:59 +0100", then collect again', markup=False)
    changed = write(course, collection, late)
    console.print(f"{changed} of {len(collection.chosen)} notebooks are new or changed. Next: make grade")


@app.command(rich_help_panel=PANEL)
def grade(
    lessons: Lessons = None,
    workers: Annotated[int | None, typer.Option(help="Submissions at a time; one for each core where it is not given.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler whose workers grade.")] = None,
    changed: Annotated[bool, typer.Option("--changed", help="Of what was graded before, only the checks that have changed.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Everything, also what is up to date.")] = False,
    unsafe_no_sandbox: Annotated[bool, typer.Option("--unsafe-no-sandbox", help="Run students' code with your rights.")] = False,
    engine: Annotated[Engine, typer.Option(help="The course's engine, or stock nbgrader.")] = Engine.OWN,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say whose marks would change, and by how much; write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for every submission, and one at the end.")] = False,
    check_seconds: Annotated[float, typer.Option(help="What a check may take.")] = 10.0,
    cell_seconds: Annotated[float, typer.Option(help="What any other cell may take.")] = 60.0,
) -> None:
    """Grade gradebook/submitted/<student>/<chapter>/<chapter>.ipynb; print marks, what failed and why, and every problem.

    Example: grader grade 05 --changed --dry-run

    What was graded before and has not changed stays as it is. Stop it at any time: the next run goes on. The exit code is 0 where
    grading worked, whatever the submissions hold, and 1 where one could not be graded through no fault of its own.
    """
    from grader import ledger
    from grader.grade_print import Reporter
    from grader.marks_print import show_changes, show_problems, show_sheets, write_csv

    course, chapters = select(lessons)
    if unsafe_no_sandbox:
        console.print(UNSAFE, style="bold red", markup=False)
    seconds = ledger.Seconds(check_seconds, cell_seconds)
    options = ledger.Options(workers, scheduler, not unsafe_no_sandbox, force, changed, seconds, engine is Engine.NBGRADER)
    if dry_run:
        with console.status("grading in a copy of the gradebook"):
            show_changes(ledger.rehearse(course, chapters, options), console)
        console.print("nothing was written: --dry-run")
        return
    before = {chapter: ledger.sheets(course, chapter) for chapter in chapters}
    problems = [] if lessons else ledger.strays(course)
    reporter = Reporter(ledger.count(course, chapters), console, as_json=as_json)
    try:
        with reporter, interruptible() as stop_if_asked:
            for graded in ledger.grade(course, chapters, options):
                reporter.count(graded)
                problems += graded.problems
                stop_if_asked()
    except KeyboardInterrupt:
        console.print(f"stopped; {reporter.progress.done} of {reporter.progress.total} submissions are done, the next run goes on there")
        raise typer.Exit(130) from None
    marks = course.gradebook / "marks.csv"
    after = {chapter: ledger.sheets(course, chapter) for chapter in course.chapters()}
    write_csv(marks, [sheet for sheets in after.values() for sheet in sheets])
    if not as_json:
        for chapter in chapters:
            show_sheets(chapter.name, after[chapter], console)
        show_problems(problems, course.root, console)
        for chapter in chapters:
            show_changes(list(ledger.changes(before[chapter], after[chapter])), console)
        console.print(f"wrote {marks.relative_to(course.root)}. Next: make report, make feedback, make export")
    if any(problem.ungraded for problem in problems):
        raise typer.Exit(1)


@app.command(rich_help_panel=PANEL)
def report(lessons: Lessons = None) -> None:
    """Write gradebook/report/<chapter>.html: marks, how hard each exercise is, which mistakes the class makes; also as CSV and JSON.

    Example: grader report 05
    """
    from grader.review.report import folder
    from grader.review.report import report as run

    course, chapters = select(lessons)
    written = 0
    with console.status("reading the class"):
        for made in run(course, chapters):
            written += 1
            found = made.figures
            console.print(f"{found.chapter}: {found.students} students, mean {found.mean:.1f} of {found.possible:g}", markup=False)
            for exercise, mistake in found.mistakes[:MOST_FREQUENT]:
                console.print(f"    {len(mistake.students)} of {found.students}: {exercise.id}: {mistake.headline}", markup=False)
            if made.pairs:
                place = made.similarity.relative_to(course.root)
                console.print(f"    pairs of students who share uncommon code: {len(made.pairs)}; look at {place}", markup=False)
    if not written:
        fail(f"{course.gradebook}: {UNGRADED}")
    console.print(f"Open {folder(course).relative_to(course.root)}/<chapter>.html. Next: make feedback")


@app.command(rich_help_panel=PANEL)
def feedback(
    lessons: Lessons = None,
    explanations: Annotated[bool, typer.Option("--explanations", help="With the worked explanation of every exercise.")] = False,
) -> None:
    """Write each graded student's page: their code, the checks with their messages, and what a known mistake is about.

    It lies at gradebook/feedback/<student>/<chapter>/<chapter>.html; no line of a hidden test is in it.

    Example: grader feedback 05 --explanations
    """
    from grader.review.feedback import feedback as run

    course, chapters = select(lessons)
    with console.status("writing"):
        written = sum(1 for _ in run(course, chapters, explanations=explanations))
    if not written:
        fail(f"{course.gradebook}: {UNGRADED}")
    console.print(f"wrote {written} pages to {(course.gradebook / 'feedback').relative_to(course.root)}. Next: make export")


@app.command(rich_help_panel=PANEL)
def export(
    lesson: Annotated[str, typer.Argument(help="The chapter, by number, name or path.")],
    platform: Annotated[
        Path | None, typer.Argument(help="Canvas's gradebook as it exports it, or Moodle's grading worksheet; without it, JSON is written.")
    ] = None,
    column: Annotated[str, typer.Option(help="Canvas's column for the chapter, where its name does not say so.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="The file to write; else gradebook/export/<chapter>-<name of the platform's>, or <chapter>.json.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing outside a temporary folder.")] = False,
) -> None:
    """Write a copy of a platform's CSV with the marks of a chapter filled in, for the platform to import; or, without one, JSON.

    Example: grader export 05 ~/Downloads/2026-11-20_Grades.csv
    """
    import tempfile

    from grader import ledger
    from grader.export import export as run
    from grader.export import export_json

    course, (chapter,) = select([lesson])
    if platform is None or not platform.name:
        place = out or course.gradebook / "export" / f"{chapter.name}.json"
        with tempfile.TemporaryDirectory() as temporary:
            count = export_json(chapter.name, ledger.papers(course, chapter), Path(temporary) / "x.json" if dry_run else place)
        console.print(f"{count} students" + ("; nothing was written: --dry-run" if dry_run else f"; wrote {place}"), markup=False)
        return
    with tempfile.TemporaryDirectory() as temporary:
        place = out or course.gradebook / "export" / f"{chapter.name}-{platform.name}"
        made = run(platform, chapter.name, ledger.sheets(course, chapter), Path(temporary) / "x.csv" if dry_run else place, column)
    here, there = made.scale
    if here != there:
        console.print(f"scaled: {here:g} points here are {there:g} there", style="yellow")
    for title, names in (
        ("without a mark, left as it was", made.empty),
        ("a mark by hand is missing, left as it was", made.unmarked),
        ("not in the platform's file", made.left_out),
    ):
        if names:
            console.print(f"{title}: {visible(', '.join(names))}", style="yellow", markup=False)
    console.print(
        f"{len(made.filled)} marks" + ("; nothing was written: --dry-run" if dry_run else f"; wrote {place}. Next: import it there"),
        markup=False,
    )


@app.command(rich_help_panel=PANEL)
def demo(
    lessons: Lessons = None,
    folder: Annotated[Path | None, typer.Option(help="Make the class here and keep it; without it, a temporary folder.")] = None,
    engine: Annotated[Engine, typer.Option(help="The course's engine, or stock nbgrader.")] = Engine.OWN,
    check_seconds: Annotated[float, typer.Option(help="What a check may take: the endless loop takes it.")] = 4.0,
) -> None:
    """Grade a class of 12 for each chapter, made from the lessons' own answers, and prove every mark; touches no other gradebook."""
    import tempfile

    from grader import ledger
    from grader.demo import differences, make_class
    from grader.marks_print import show_problems, show_sheets
    from grader.review.feedback import feedback

    start = time.perf_counter()
    course, chapters = select(lessons)
    with tempfile.TemporaryDirectory() as temporary:
        copy, handed_in = make_class(course, chapters, folder or Path(temporary))
        problems = []
        with console.status("grading") as status:
            options = ledger.Options(seconds=ledger.Seconds(check=check_seconds), stock=engine is Engine.NBGRADER)
            for graded in ledger.grade(copy, copy.chapters(), options):
                status.update(f"graded {graded.student}: {graded.chapter.name}")
                problems += graded.problems
        for _ in feedback(copy, copy.chapters()):
            pass
        wrong = []
        for chapter in copy.chapters():
            sheets = ledger.sheets(copy, chapter)
            show_sheets(chapter.name, sheets, console)
            wrong += [f"{chapter.name}: {line}" for line in differences(handed_in[chapter.name], sheets)]
        show_problems(problems, copy.root, console)
    for line in wrong:
        console.print(line, style="red", markup=False)
    count = sum(map(len, handed_in.values()))
    verdict = "every mark is as expected" if not wrong else f"{len(wrong)} marks are not as expected"
    console.print(f"graded {count} submissions in {time.perf_counter() - start:.0f} s: {verdict}")
    if wrong or any(problem.ungraded for problem in problems):
        raise typer.Exit(1)


@app.command(rich_help_panel=PANEL)
def demo_class(
    lessons: Lessons = None,
    students: Annotated[int, typer.Option(min=15, help="How many are in the class.")] = 200,
    folder: Annotated[Path | None, typer.Option(help="Make the class here and keep it; without it, a temporary folder.")] = None,
) -> None:
    """Take a made-up class from Canvas's archives to Canvas's CSV, by the way of an instructor, and prove every mark."""
    import tempfile

    from grader import demo_class as demo

    course, chapters = select(lessons or demo.CHAPTERS)
    with tempfile.TemporaryDirectory() as temporary:
        walk = demo.Walk(course, chapters, folder or Path(temporary), students)
        for step, seconds, said in walk.steps():
            console.print(f"{step:>9} {seconds:6.1f} s  {said}", markup=False)
    for line in walk.differences:
        console.print(visible(line), style="red", markup=False)
    if walk.differences:
        fail(f"{len(walk.differences)} things are not as expected")
    console.print("every mark is as expected")
