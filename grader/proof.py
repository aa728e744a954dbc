"""The steps of `make test`: each a command of its own, all of them run, whatever fails.

Who calls it: `grader test` and `grader portable`, which `run` the steps one by one and print the outcomes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import IO

from grader import welcome
from grader.course import Chapter, Course
from grader.environment import ONE_THREAD
from grader.execute import CELL_TIMEOUT

STEP_TIMEOUT, CHAPTER_TIMEOUT = 600, 240  # seconds for a step, and more for each chapter that it looks at
PLAIN_PROCESSOR = {"ATEN_CPU_CAPABILITY": "default"}  # torch without vector instructions
PYTHON = (sys.executable, "-m")
GRADER = (*PYTHON, "grader")
THREE_THAT_WAIT = ("-n", "3", "--dist", "loadscope", "--no-loadscope-reorder")  # many tests do nothing but wait for a time limit
TWO_AT_A_TIME = ("-n", "2", "--dist", "loadscope")  # another --dist would tear a notebook's cells apart


class Status(Enum):
    """How a step ended."""

    PASSED = "passed"
    FAILED = "failed"
    TIMEOUT = "timeout"


@dataclass(frozen=True)
class Step:
    """Commands that prove one thing together, side by side; `environment` is what they get beside the usual."""

    name: str
    commands: tuple[tuple[str, ...], ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How a step ended, the seconds it took, and all that it printed."""

    step: Step
    status: Status
    seconds: float
    output: str

    @property
    def passed(self) -> bool:
        """Whether all that the step proves holds."""
        return self.status is Status.PASSED

    @property
    def last_line(self) -> str:
        """The last line of words, which sums the step up."""
        return next((line.strip() for line in reversed(self.output.splitlines()) if any(map(str.isalnum, line))), "")


def everything(course: Course) -> list[Step]:
    """Return all steps, for all the chapters of a course."""
    chapters = course.chapters()
    return [
        Step("style", ((*PYTHON, "ruff", "check", "."), (*PYTHON, "ruff", "format", "--check", "."))),
        Step("types", ((*PYTHON, "mypy"),)),
        *_about(chapters, [], [welcome.path(course)]),
        Step("package", ((*PYTHON, "pytest", *THREE_THAT_WAIT),)),
        *([Step("class", ((*GRADER, "demo-class", "--students", "20"),))] if chapters else []),
    ]


def about(chapters: list[Chapter]) -> list[Step]:
    """Return the steps that look at chapters, for these alone."""
    return _about(chapters, [chapter.name for chapter in chapters])


def _about(chapters: list[Chapter], names: list[str], pages: Sequence[Path] = ()) -> list[Step]:
    if not chapters:
        return []
    return [
        Step("check", ((*GRADER, "check", *names),)),
        Step("solutions", (nbval("--nbval", [chapter.instructor for chapter in chapters]),)),
        students(chapters, pages),
        Step("audit", ((*GRADER, "audit", "--no-split-mutants", *names),), PLAIN_PROCESSOR),
    ]


def elsewhere(chapters: list[Chapter]) -> list[Step]:
    """Return steps that run the instructor notebooks as on other machines: without vector instructions, and with two threads."""
    notebooks = [chapter.instructor for chapter in chapters]
    return [
        Step("plain processor", (nbval("--nbval", notebooks),), PLAIN_PROCESSOR),
        Step("two threads", (nbval("--nbval", notebooks, spread=()),), dict.fromkeys(ONE_THREAD, "2")),
    ]


def students(chapters: list[Chapter], pages: Sequence[Path] = ()) -> Step:
    """Return the step that runs the students' notebooks and other pages, and compares what they print with the instructors'.

    It runs without vector instructions, as the audit does: so what is printed, and what the checks decide, is proved on two kinds of
    processor, and no notebook runs twice in the same way.
    """
    command = nbval("--nbval-lax", [*pages, *(chapter.student for chapter in chapters)])
    return Step("notebooks", ((*command, "--instructors"),), PLAIN_PROCESSOR)


def nbval(mode: str, notebooks: list[Path], spread: tuple[str, ...] = TWO_AT_A_TIME) -> tuple[str, ...]:
    """Return the command that runs notebooks, by nbval, in kernels of this environment."""
    options = (mode, "--nbval-current-env", f"--nbval-cell-timeout={CELL_TIMEOUT}", "-p", "grader.nbval_plugin", "-p", "no:cacheprovider")
    return (*PYTHON, "pytest", *options, *spread, *map(str, notebooks))


def time_limit(chapters: list[Chapter]) -> float:
    """Return the seconds that a step about `chapters` may take."""
    return STEP_TIMEOUT + CHAPTER_TIMEOUT * len(chapters)


def run(step: Step, folder: Path, timeout: float) -> Outcome:
    """Run the commands of a step side by side in `folder`; what still runs after `timeout` seconds is ended."""
    start = time.monotonic()
    with ExitStack() as stack:
        calls = [stack.enter_context(_call(command, step, folder)) for command in step.commands]
        ended = [call.wait(start + timeout - time.monotonic()) for call in calls]
        status = next((worst for worst in (Status.TIMEOUT, Status.FAILED) if worst in ended), Status.PASSED)
        printed = [call.printed() for call in calls]
    late = [
        f"\nended after {timeout:.0f} s: {' '.join(command)}\n"
        for command, its in zip(step.commands, ended, strict=True)
        if its is Status.TIMEOUT
    ]
    return Outcome(step, status, time.monotonic() - start, "".join(printed + late))


@dataclass(frozen=True)
class _Call:
    """A command that runs, in a session of its own, so that it can be ended with all that it started."""

    process: subprocess.Popen[bytes]
    output: IO[bytes]

    def wait(self, timeout: float) -> Status:
        """Return how the command ended, or that it still runs after `timeout` seconds."""
        try:
            return Status.PASSED if self.process.wait(max(timeout, 0)) == 0 else Status.FAILED
        except subprocess.TimeoutExpired:
            return Status.TIMEOUT

    def printed(self) -> str:
        """Return what the command has printed until now."""
        file = self.output.fileno()
        return os.pread(file, os.fstat(file).st_size, 0).decode(errors="replace")  # a seek would move the command's own place in it


@contextmanager
def _call(command: tuple[str, ...], step: Step, folder: Path) -> Iterator[_Call]:
    environment = _environment(step)
    with tempfile.TemporaryFile() as output:
        group = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield _Call(group, output)
        finally:
            if group.poll() is None:
                os.killpg(group.pid, signal.SIGKILL)
                group.wait()


def _environment(step: Step) -> dict[str, str]:
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))  # nbgrader looks for alembic there
    return {**os.environ, **ONE_THREAD, "PATH": path, **step.environment}
