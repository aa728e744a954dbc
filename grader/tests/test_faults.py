"""Grading while things break: whatever it was, the gradebook ends as that of an undisturbed run.

GRADER_FAULTS=20 makes the long form of those that try at random, as `make test-faults` does.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import cast

import psutil
import pytest
from distributed.scheduler import KilledWorker, WorkerState
from sqlalchemy import Engine, event

from grader import files, ledger
from grader.cli.common import interruptible
from grader.course import Course
from grader.engine.fleet import Fleet
from grader.engine.plan import Plan, Task
from grader.errors import GraderError, LedgerError
from grader.ledger import gradebook
from grader.ledger.converters import database
from grader.ledger.gradebook import beginning
from grader.tests.test_ledger import ALL, LENGTH, RIGHT, SECOND, WRONG, grade, hand_in, marks

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux") or not shutil.which("bwrap"), reason="the sandbox needs bubblewrap")

TIMES = int(os.environ.get("GRADER_FAULTS", "2"))
STUDENTS = 10


@pytest.fixture
def handed_in(built: Course) -> Course:
    """A class of ten: every other one has a wrong answer, and each takes a moment."""
    (built.root / "data").mkdir(exist_ok=True)
    for number in range(STUDENTS):
        length = f"import time\ntime.sleep(0.3)\n{LENGTH if number % 2 else WRONG}"
        hand_in(built, f"student{number}", RIGHT | {"length": length})
    return built


EXPECTED = {f"student{number}": ALL if number % 2 else SECOND for number in range(STUDENTS)}


def everything(course: Course) -> dict[str, list[tuple[object, ...]]]:
    """Return what the gradebook says, without ids that are drawn at random."""
    with closing(sqlite3.connect(database(course))) as connection:
        marks_given = connection.execute(
            "SELECT submitted_assignment.student_id, base_cell.name, grade.auto_score, grade.manual_score, grade.needs_manual_grade "
            "FROM grade JOIN base_cell ON grade.cell_id = base_cell.id JOIN submitted_notebook ON grade.notebook_id = submitted_notebook.id "
            "JOIN submitted_assignment ON submitted_notebook.assignment_id = submitted_assignment.id ORDER BY 1, 2"
        ).fetchall()
        return {"marks": marks_given, "students": connection.execute("SELECT id FROM student ORDER BY 1").fetchall()}


def command(course: Course, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "grader", "grade", *arguments],
        cwd=course.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def sandboxes(course: Course) -> list[psutil.Process]:
    """Return the running sandboxes that see this course's data."""
    return [process for process in psutil.process_iter(["cmdline"]) if str(course.data) in (process.info["cmdline"] or [])]


def require_nothing_left_over(course: Course) -> None:
    """Fail where a sandbox that sees this course's data outlives the grading by much."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        running = sandboxes(course)
        if not running:
            return
        time.sleep(0.2)
    raise AssertionError(f"still running: {running}")


def test_killed_at_random_and_run_again_it_ends_as_if_nothing_had_been(handed_in: Course) -> None:
    draw = random.Random(5)
    for _ in range(TIMES):
        with command(handed_in) as running:
            with_patience = draw.uniform(1.0, 7.0)
            try:
                running.wait(with_patience)
            except subprocess.TimeoutExpired:
                running.kill()
    with command(handed_in) as running:
        assert running.stdout
        printed = running.stdout.read().decode()
        assert running.wait(120) == 0, printed
    require_nothing_left_over(handed_in)
    disturbed = everything(handed_in)
    shutil.rmtree(handed_in.gradebook / "autograded")
    database(handed_in).unlink()
    grade(handed_in)
    assert disturbed == everything(handed_in)
    assert marks(handed_in) == EXPECTED


def test_killed_while_a_submission_sleeps_for_ever_nothing_of_it_goes_on(built: Course) -> None:
    (built.root / "data").mkdir(exist_ok=True)
    hand_in(built, "ada", RIGHT | {"length": f"import time\ntime.sleep(10**6)\n{LENGTH}"})

    def asleep() -> bool:
        return any(len(process.children(recursive=True)) > 3 for process in sandboxes(built))

    with command(built) as running:
        while not asleep():
            assert running.poll() is None
            time.sleep(0.1)
        running.kill()
    require_nothing_left_over(built)


def test_killed_while_the_gradebook_is_made_the_next_run_makes_it(handed_in: Course) -> None:
    with command(handed_in) as running:
        while not beginning(handed_in).exists():
            assert running.poll() is None
        running.kill()
    assert not database(handed_in).exists()
    grade(handed_in)
    assert marks(handed_in) == EXPECTED


def test_stopped_by_ctrl_c_the_next_run_goes_on_where_it_stopped(handed_in: Course) -> None:
    for number in range(5, STUDENTS):  # so slow that they have not ended when the signal comes
        hand_in(handed_in, f"student{number}", RIGHT | {"length": f"import time\ntime.sleep(2)\n{LENGTH if number % 2 else WRONG}"})
    with command(handed_in, "--json") as running:
        assert running.stdout
        for line in running.stdout:
            if b'"done": 3' in line:
                running.send_signal(signal.SIGINT)
                break
        rest = running.stdout.read()
        assert running.wait(60) == 130
    assert b"Traceback" not in rest
    outcomes = [graded.outcome for graded in ledger.grade(handed_in, handed_in.chapters())]
    assert outcomes.count("up to date") >= 3
    assert marks(handed_in) == EXPECTED


def test_a_ctrl_c_that_somebody_caught_is_not_forgotten() -> None:
    with interruptible() as stop_if_asked:
        stop_if_asked()
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            stop_if_asked()


@contextmanager
def cluster(workers: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and workers on this machine's loopback, as on many machines."""
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    port = 20_000 + os.getpid() % 20_000
    address = f"tcp://127.0.0.1:{port}"
    started = [
        subprocess.Popen(
            [*dask, "--host", "127.0.0.1", "--port", str(port), "--no-dashboard", "--dashboard-address", "127.0.0.1:0"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    ]
    worker = [
        sys.executable,
        "-m",
        "distributed.cli.dask_worker",
        address,
        "--nthreads",
        "1",
        "--no-nanny",
        "--no-dashboard",
        "--host",
        "127.0.0.1",
    ]
    started += [subprocess.Popen(worker, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(workers)]
    try:
        yield address, started
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_a_worker_of_a_cluster_that_is_killed_costs_nobody_a_mark(handed_in: Course) -> None:
    with cluster(2) as (address, processes):
        options = ledger.Options(scheduler=address)
        for done, _ in enumerate(ledger.grade(handed_in, handed_in.chapters(), options), start=1):
            if done == 2:
                processes[-1].kill()
    assert marks(handed_in) == EXPECTED


def test_a_scheduler_that_is_killed_stops_the_run_with_words_and_the_next_goes_on(handed_in: Course) -> None:
    with cluster(2) as (address, processes), pytest.raises(GraderError, match=r"remedy: .*run this again"):
        for done, _ in enumerate(ledger.grade(handed_in, handed_in.chapters(), ledger.Options(scheduler=address)), start=1):
            if done == 2:
                processes[0].kill()
    grade(handed_in)
    assert marks(handed_in) == EXPECTED


def test_two_at_once_are_told_apart(handed_in: Course) -> None:
    with gradebook.alone(handed_in), pytest.raises(LedgerError, match="another `make grade` is under way"):
        grade(handed_in)


def test_a_gradebook_that_formgrader_has_for_itself_is_waited_for(handed_in: Course) -> None:
    hand_in(handed_in, "student0", RIGHT)
    gradebook.prepare(handed_in, handed_in.chapters())
    connection = sqlite3.connect(database(handed_in), check_same_thread=False)
    connection.execute("BEGIN EXCLUSIVE")
    threading.Timer(12, connection.rollback).start()  # longer than sqlite itself waits
    try:
        handed = [graded.student for graded in ledger.grade(handed_in, handed_in.chapters())]
    except LedgerError as error:  # it was locked before the first submission: told, and nothing is lost
        assert "locked" in str(error)
        time.sleep(12)
        handed = [graded.student for graded in ledger.grade(handed_in, handed_in.chapters())]
    connection.close()
    assert len(handed) == STUDENTS
    assert marks(handed_in) == EXPECTED | {"student0": ALL}


def test_a_disk_that_is_full_stops_the_run_with_words_and_nothing_is_lost(handed_in: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []

    def full(path: Path, content: bytes) -> bool:
        written.append(path)
        if len(written) > 3:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return honest(path, content)

    honest = files.write_if_changed
    monkeypatch.setattr(files, "write_if_changed", full)
    with pytest.raises(LedgerError, match=r"No space left on device[^$]*remedy: .*goes on"):
        grade(handed_in)
    monkeypatch.setattr(files, "write_if_changed", honest)
    outcomes = [graded.outcome for graded in ledger.grade(handed_in, handed_in.chapters())]
    assert outcomes.count("up to date") == 3
    assert marks(handed_in) == EXPECTED


def test_a_gradebook_that_has_no_room_stops_the_run_with_words_and_nothing_is_lost(handed_in: Course) -> None:
    gradebook.prepare(handed_in, handed_in.chapters())

    def full(connection: sqlite3.Connection, _: object) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")

    event.listen(Engine, "connect", full)
    try:
        with pytest.raises(LedgerError, match=r"database or disk is full[^$]*remedy: .*nothing is lost"):
            for _ in ledger.grade(handed_in, handed_in.chapters()):
                pass
    finally:
        event.remove(Engine, "connect", full)
    grade(handed_in)
    assert marks(handed_in) == EXPECTED


def test_a_submission_whose_workers_end_is_tried_again_and_then_keeps_its_marks(handed_in: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dask gives up a task after several workers have ended that had it, also when another task was at fault."""
    asked: Counter[str] = Counter()
    times_lost = {"student3": 1, "student4": 2}
    honest = Fleet._submit

    def submit(fleet: Fleet, plan: Plan, task: Task) -> object:
        asked[task.key] += 1
        return Lost() if asked[task.key] <= times_lost.get(task.key, 0) else honest(fleet, plan, task)

    monkeypatch.setattr(Fleet, "_submit", submit)
    graded = {one.student: one for one in ledger.grade(handed_in, handed_in.chapters())}
    assert {student for student, one in graded.items() if one.outcome != "graded"} == {"student4"}
    (problem,) = graded["student4"].problems
    assert problem.ungraded
    assert marks(handed_in) == {student: points for student, points in EXPECTED.items() if student != "student4"}
    grade(handed_in)
    assert marks(handed_in) == EXPECTED


class Lost:
    """What dask gives where it has given up."""

    def result(self) -> None:
        raise KilledWorker("task", cast(WorkerState, None), 3)


@pytest.mark.parametrize("workers", [1, 3])
def test_marks_do_not_depend_on_the_number_of_workers(handed_in: Course, workers: int) -> None:
    grade(handed_in, ledger.Options(workers=workers))
    assert marks(handed_in) == EXPECTED


def test_a_clock_that_is_set_back_hides_no_submission(handed_in: Course) -> None:
    """The second submission is older than the first, and than what was written when that one was graded."""
    grade(handed_in)
    path = hand_in(handed_in, "student0", RIGHT)
    os.utime(path, (1.0, 1.0))
    assert [graded.outcome for graded in ledger.grade(handed_in, handed_in.chapters())].count("up to date") == STUDENTS - 1
    assert marks(handed_in) == EXPECTED | {"student0": ALL}
    assert {graded.outcome for graded in ledger.grade(handed_in, handed_in.chapters())} == {"up to date"}
