"""The proof runs every step, over every chapter, whatever fails and whatever hangs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from grader.cli import app
from grader.course import Course
from grader.proof import Status, Step, about, elsewhere, everything, run, time_limit


def python(*programs: str) -> tuple[tuple[str, ...], ...]:
    return tuple((sys.executable, "-c", program) for program in programs)


FAILS = Step("fails", python("print('what went wrong'); raise SystemExit(3)"))
PASSES = Step("passes", python("print('details'); print('in short')"))


def test_every_chapter_that_is_found_is_proved(course: Course) -> None:
    shutil.copytree(course.root / "solutions" / "01_tiny", course.root / "solutions" / "02_other")
    (course.root / "solutions" / "02_other" / "01_tiny.py").rename(course.root / "solutions" / "02_other" / "02_other.py")
    steps = {step.name: " ".join(step.commands[0]) for step in everything(course)}
    assert list(steps) == ["style", "types", "check", "solutions", "notebooks", "audit", "package", "class"]
    for name in ("solutions", "notebooks"):
        assert "01_tiny" in steps[name]
        assert "02_other" in steps[name]
    assert steps["check"].endswith("grader check")  # no names: it then looks for stray notebooks too
    assert steps["audit"].endswith("grader audit --no-split-mutants")
    assert steps["class"].endswith("grader demo-class --students 20")
    assert [step.name for step in about(course.chapters(["02"]))] == ["check", "solutions", "notebooks", "audit"]
    assert not any("01_tiny" in part for step in about(course.chapters(["02"])) for command in step.commands for part in command)


def test_a_course_without_chapters_is_still_proved(tmp_path: Path) -> None:
    assert [step.name for step in everything(Course(tmp_path))] == ["style", "types", "package"]


def test_the_last_line_of_words_sums_a_step_up(tmp_path: Path) -> None:
    assert run(PASSES, tmp_path, 60).last_line == "in short"
    assert run(Step("table", python("print('12 killed'); print('+----+'); print()")), tmp_path, 60).last_line == "12 killed"
    assert run(Step("silent", python("pass")), tmp_path, 60).last_line == ""


def test_a_command_that_fails_stops_no_other_of_its_step(tmp_path: Path) -> None:
    outcome = run(Step("two", python("raise SystemExit(1)", "print('second')")), tmp_path, 60)
    assert (outcome.status, outcome.last_line) == (Status.FAILED, "second")


def test_the_commands_of_a_step_run_side_by_side_and_print_in_order(tmp_path: Path) -> None:
    waits = "import pathlib, time\nwhile not pathlib.Path('ready').exists(): time.sleep(0.05)\nprint('first')"
    outcome = run(Step("two", python(waits, "import pathlib; pathlib.Path('ready').touch(); print('second')")), tmp_path, 60)
    assert (outcome.status, outcome.output) == (Status.PASSED, "first\nsecond\n")


def test_a_step_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    child = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)']).pid, flush=True)"
    outcome = run(Step("hangs", python(f"{child}; import time; time.sleep(300)", "print('\\nbeside it')")), tmp_path, 3)
    assert outcome.status is Status.TIMEOUT
    assert "ended after 3 s: " in outcome.last_line
    assert "\nbeside it\n" in outcome.output
    assert _ends(int(outcome.output.split()[0]))


ENDLESS = """
import sys
from grader import cli, proof
sleeper = "import os, pathlib, time; pathlib.Path('pid').write_text(str(os.getpid())); time.sleep(300)"
proof.everything = lambda _: [proof.Step("sleeps", ((sys.executable, "-c", sleeper),))]
cli.main()
"""


def test_a_proof_that_is_ended_ends_its_step(course: Course) -> None:
    pid = course.root / "pid"
    with subprocess.Popen((sys.executable, "-c", ENDLESS, "test"), cwd=course.root, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 30
        while not (pid.is_file() and pid.read_text()) and time.monotonic() < deadline:
            time.sleep(0.1)
        process.terminate()
        assert process.wait(30) == 128 + signal.SIGTERM
    assert _ends(int(pid.read_text()))


def _ends(pid: int) -> bool:
    """Whether the process is gone, or dead and only waits to be reaped, within 5 seconds."""
    for _ in range(50):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.1)
    return False


def test_a_step_gets_no_input_one_thread_and_the_environments_programs(tmp_path: Path) -> None:
    program = "import os, shutil, sys; print(repr(sys.stdin.read()), os.environ['OMP_NUM_THREADS'], shutil.which('alembic'))"
    assert run(Step("shows", python(program)), tmp_path, 60).last_line == f"'' 1 {Path(sys.executable).parent / 'alembic'}"


def test_more_chapters_may_take_more_time(course: Course) -> None:
    assert time_limit([]) < time_limit(course.chapters()) < 3600


def test_other_machines_are_tried(course: Course) -> None:
    plain, threads = elsewhere(course.chapters())
    assert plain.environment == {"ATEN_CPU_CAPABILITY": "default"}
    assert threads.environment["OMP_NUM_THREADS"] == "2"
    assert "-n" not in threads.commands[0]


@pytest.mark.parametrize(
    ("steps", "code", "last", "shown"),
    [
        ([PASSES], 0, "===== 1 passed in ", False),
        ([FAILS, PASSES], 1, "===== 1 failed, 1 passed in ", True),
        ([FAILS], 1, "===== 1 failed in ", True),
    ],
)
def test_the_command_shows_what_failed_and_closes_with_the_counts(
    course: Course, monkeypatch: pytest.MonkeyPatch, steps: list[Step], code: int, last: str, shown: bool
) -> None:
    monkeypatch.chdir(course.root)
    monkeypatch.setattr("grader.proof.everything", lambda _: steps)
    result = CliRunner().invoke(app, ["test"])
    assert result.exit_code == code
    assert result.output.splitlines()[-1].startswith(last)
    assert ("passes: passed in " in result.output) == (PASSES in steps)
    assert ("what went wrong" in result.output) == shown
    assert "details" not in result.output


def test_a_chapter_that_does_not_exist_is_told(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(course.root)
    result = CliRunner().invoke(app, ["test", "07"])
    assert result.exit_code != 0
    assert "choose one of: 01_tiny" in str(result.exception)
