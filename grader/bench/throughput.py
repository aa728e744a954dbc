"""How long a submission takes: the engine beside stock nbgrader, on the same submissions, in one run.

    python -m grader.bench.throughput --chapter 01 --runs 5
    python -m grader.bench.throughput --chapter 16 --runs 5 --stock-class 1 --no-failing    # a chapter of long demonstrations

Stock is `nbgrader autograde` with nbgrader's own defaults, as its documentation sets it up. Both start cold and are timed whole;
a submission's time is the time of a class less that of starting, measured by a class of one. Printed are the median and the range
of the runs, and where the engine's time goes.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import nbformat
import typer
from rich.console import Console
from rich.table import Table

from grader import ledger
from grader.course import CONFIG_NAME, Chapter, Course
from grader.demo import filled
from grader.engine.grade import ChapterGrader
from grader.engine.plan import plan_of, steps, task_of
from grader.engine.process import WarmProcess
from grader.environment import ONE_THREAD
from grader.ledger.submissions import submitted
from grader.lesson import Lesson, read
from grader.notebook import dumps, load
from grader.template import rebuild

TRIES = 20
PARTS = (
    "fork, namespaces, limits, and their end, for the answers",
    "cells",
    "questions",
    "fork, namespaces, limits, and their end, for the judge",
    "judging",
    "reading, rebuilding, handing to a worker, gradebook",
)
# Beside its one worker, a grader on two cores has the other core for reading, rebuilding and the gradebook. What a second core gives
# is told by all of it on one core against two workers on two.
ENGINE = (("1 worker, all on one core", 1, 1), ("1 worker", 1, 2), ("2 workers", 2, 2))  # name, workers, cores
STOCK_CONFIG = 'c = get_config()\nc.CourseDirectory.course_id = "bench"\nc.Execute.timeout = 600\n'


def main(
    chapter: Annotated[str, typer.Option(help="The chapter whose submissions are graded.")] = "01",
    runs: Annotated[int, typer.Option(help="How often each is measured.")] = 5,
    engine_class: Annotated[int, typer.Option(help="Submissions that the engine grades in a run.")] = 60,
    stock_class: Annotated[int, typer.Option(help="Submissions that stock nbgrader grades in a run.")] = 2,
    failing: Annotated[bool, typer.Option(help="Also a class that has every exercise wrong.")] = True,
) -> None:
    """Print both tables."""
    course = Course.find()
    (found,) = course.chapters([chapter])
    lesson = read(found.source)
    with tempfile.TemporaryDirectory() as folder:
        stock = _Stock(Path(folder) / "stock", found)
        own = Own(Path(folder) / "own", course, found)
        rows = {}
        for what, wrong in (("passing", False), ("failing", True))[: 1 + failing]:
            answers = answers_of(lesson, wrong=wrong)
            hand_in = partial(stock.hand_in, answers)
            rows[f"stock nbgrader, {what}"] = [marginal(hand_in, stock.grade, stock_class, 1) for _ in range(runs)]
            for name, workers, cores in ENGINE:
                hand_in, grade = partial(own.hand_in, answers), partial(own.grade, workers, cores)
                rows[f"engine, {what}, {name}"] = [marginal(hand_in, grade, engine_class, 2 * workers) for _ in range(runs)]
        _show(f"{found.name}: seconds a submission", rows)
        own.hand_in(answers_of(lesson, wrong=False), 1)
        _show_parts(own.parts(statistics.median(rows["engine, passing, 1 worker"])))


def answers_of(lesson: Lesson, *, wrong: bool) -> dict[str, str]:
    """Return the reference answers, or for every exercise its first wrong one."""
    return {exercise.id: exercise.wrongs[0].source if wrong else exercise.answer.source for exercise in lesson.exercises}


class _Stock:
    """A course as nbgrader's documentation lays it out, graded by its own command."""

    def __init__(self, root: Path, chapter: Chapter) -> None:
        self.root, self.chapter = root, chapter
        (root / "source" / chapter.name).mkdir(parents=True)
        shutil.copy(chapter.instructor, root / "source" / chapter.name)
        (root / CONFIG_NAME).write_text(STOCK_CONFIG, encoding="utf-8")
        (root / "data").symlink_to(Course(chapter.root).data)
        self._run("generate_assignment", chapter.name, "--force")

    def hand_in(self, answers: dict[str, str], count: int) -> None:
        """Lay a class of `count` into an empty gradebook."""
        for place in ("submitted", "autograded", "gradebook.db"):
            path = self.root / place
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        self._run("generate_assignment", self.chapter.name, "--force")
        released = load(self.root / "release" / self.chapter.name / f"{self.chapter.name}.ipynb")
        for number in range(count):
            folder = self.root / "submitted" / f"student{number}" / self.chapter.name
            folder.mkdir(parents=True)
            nbformat.write(filled(released, answers), folder / f"{self.chapter.name}.ipynb")

    def grade(self) -> None:
        """Grade it."""
        self._run("autograde", self.chapter.name, "--force")

    def _run(self, *arguments: str) -> None:
        environment = {**_environment(), "COURSE_DATA": str(self.root / "data")}
        done = subprocess.run(
            [sys.executable, "-m", "nbgrader", *arguments], cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"nbgrader {' '.join(arguments)} failed:\n{done.stderr[-2000:]}")


def _environment() -> dict[str, str]:
    return {**os.environ, **ONE_THREAD, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


class Own:
    """A gradebook of the course, in a folder of its own."""

    def __init__(self, root: Path, course: Course, chapter: Chapter) -> None:
        root.mkdir(parents=True)
        shutil.copy(course.root / CONFIG_NAME, root)
        shutil.copytree(chapter.source.parent, root / "solutions" / chapter.name)
        (root / "data").symlink_to(course.data)
        self.course, self.chapter, self.released = Course(root), Chapter(chapter.name, root), load(chapter.student)

    def hand_in(self, answers: dict[str, str], count: int) -> None:
        """Lay a class of `count` into an empty gradebook."""
        shutil.rmtree(self.course.gradebook, ignore_errors=True)
        text = dumps(filled(self.released, answers))
        for number in range(count):
            path = submitted(self.course, self.chapter, f"student{number:04}")
            path.parent.mkdir(parents=True)
            path.write_text(text, encoding="utf-8")

    def grade(self, workers: int, cores: int) -> None:
        """Grade it on the first `cores` of the machine."""
        mine = os.sched_getaffinity(0)
        os.sched_setaffinity(0, sorted(mine)[:cores])
        try:
            outcomes = [graded.outcome for graded in ledger.grade(self.course, [self.chapter], ledger.Options(workers=workers))]
        finally:
            os.sched_setaffinity(0, mine)
        if set(outcomes) != {"graded"}:
            raise SystemExit(f"not all were graded: {outcomes}")

    def parts(self, whole: float) -> dict[str, list[float]]:
        """Return where the time goes that one worker takes for the submission handed in, of `whole` seconds: name → seconds of each try."""
        template = load(self.chapter.instructor)
        plan = plan_of(self.chapter, template)
        submission = load(submitted(self.course, self.chapter, "student0000"))
        task = task_of(plan, "student0000", rebuild(template, submission).notebook)
        everything = list(steps(plan, task, whole=False))
        cells = [step for step in everything if step[0] == "run"]
        made: dict[str, list[float]] = {name: [] for name in PARTS}
        data = self.course.data
        with ChapterGrader(plan, data) as grader, WarmProcess(plan, data) as warm:
            for _ in range(1 + TRIES):
                empty, idle = _timed(lambda: warm.run("answer", [], 60)), _timed(lambda: warm.run("judge", [], 60))
                ran, asked = _timed(lambda: warm.run("answer", cells, 60)), _timed(lambda: warm.run("answer", everything, 60))
                graded = _timed(lambda: grader.grade(task))
                times = (empty, ran - empty, asked - ran, idle, graded - asked - idle, whole - graded)
                for name, seconds in zip(PARTS, times, strict=True):
                    made[name].append(seconds)
        return {name: times[1:] for name, times in made.items()}  # the processes come up in the first try


def _timed(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def marginal(hand_in: Callable[[int], None], grade: Callable[[], None], count: int, least: int) -> float:
    """Return the seconds of a submission: grading a class of `least + count` less grading one of `least`, by `count`."""
    times = []
    for size in (least, least + count):
        hand_in(size)
        start = time.perf_counter()
        grade()
        times.append(time.perf_counter() - start)
    return (times[1] - times[0]) / count


def _show(title: str, rows: dict[str, list[float]]) -> None:
    table = Table(title=title, title_justify="left")
    for heading in ("", "median", "least", "most", "stock / this"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, times in rows.items():
        stock = rows["stock nbgrader, passing" if "passing" in name else "stock nbgrader, failing"]
        table.add_row(name, *(f"{value:.3f}" for value in _three(times)), f"{statistics.median(stock) / statistics.median(times):.1f}")
    Console().print(table)


def _show_parts(parts: dict[str, list[float]]) -> None:
    table = Table(title="where the time of a passing submission goes, one worker", title_justify="left")
    for heading in ("", "median", "least", "most"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, times in parts.items():
        table.add_row(name, *(f"{value:.3f}" for value in _three(times)))
    Console().print(table)


def _three(times: Sequence[float]) -> tuple[float, float, float]:
    return statistics.median(times), min(times), max(times)


if __name__ == "__main__":
    typer.run(main)
