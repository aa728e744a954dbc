"""The `grader` command: parses, calls, prints."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from grader.course import Chapter, Course
from grader.errors import GraderError, LessonError
from grader.safe_text import visible

if TYPE_CHECKING:
    from grader.proof import Step

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 140)

WATCH_SECONDS = 0.5  # between two looks at a lesson
MOST_FREQUENT = 5  # mistakes of a class that are told in the terminal
UNGRADED = "nothing of what was asked for is graded\n    remedy: run `make grade`"
UNSAFE = """WITHOUT A SANDBOX: what students wrote runs with your rights. It can read the solutions and the gradebook, change marks, delete
your files and use the network. The graded copies and the list of problems will say so."""


class Engine(StrEnum):
    """What grades."""

    OWN = "own"
    NBGRADER = "nbgrader"


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


def _number_of(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


@app.command()
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


@app.command()
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


@app.command()
def check(lessons: Lessons = None) -> None:
    """Prove that the committed notebooks are what the sources say, and leak nothing."""
    from grader.check import check as run
    from grader.check import orphans, readme, welcome

    start = time.perf_counter()
    course, chapters = select(lessons)
    errors = [] if lessons else [*orphans(course), *readme(course), *welcome(course)]
    for chapter, found in run(course, chapters):
        count = sum(len(error.findings) if isinstance(error, LessonError) else 1 for error in found)
        console.print(f"{chapter.name}: {_number_of(count, 'error') if count else 'ok'}")
        errors += found
    for error in errors:
        console.print(str(error), style="red", markup=False)
    console.print(f"checked {_number_of(len(chapters), 'chapter')} in {time.perf_counter() - start:.1f} s")
    if errors:
        raise typer.Exit(1)


@app.command()
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


@app.command()
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


@app.command()
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
    console.print(f"audited {_number_of(len(chapters), 'chapter')} in {time.perf_counter() - start:.1f} s, {verdict}")
    if failed:
        raise typer.Exit(1)


@app.command()
def test(lessons: Lessons = None) -> None:
    """Run everything that CI runs; with chapters named, what is tested about them."""
    from grader.proof import about, everything

    course, chapters = select(lessons)
    _prove(course, chapters, about(chapters) if lessons else everything(course))


@app.command()
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


@app.command()
def data(
    remove: Annotated[bool, typer.Option("--remove", help="Delete what was unpacked.")] = False,
) -> None:
    """Prove that the data files are as published, and unpack those that are read unpacked."""
    from grader import data as files

    folder = Course.find().data
    for path in files.remove(folder) if remove else files.prepare(folder):
        console.print(f"{'removed' if remove else 'unpacked'} {path}", markup=False)


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
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


def released(lessons: list[str] | None) -> tuple[Course, list[Chapter]]:
    """Return the course and those of its students' notebooks that the command line names."""
    course = Course.find()
    return course, course.released(lessons)


@app.command()
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


@app.command()
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


@app.command()
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


def main() -> None:
    """Run the command; a GraderError is a message, not a traceback."""
    try:
        app()
    except GraderError as error:
        console.print(visible(str(error)), style="red", markup=False)
        raise SystemExit(1) from error
