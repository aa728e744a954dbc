"""Whether grading stays small and steady: the memory of the writing process and the rate, over a class of a thousand.

python -m grader.bench.memory --chapter 01 --students 1000
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated

import psutil
import typer

from grader import ledger
from grader.bench.throughput import Own, answers_of
from grader.course import Course
from grader.lesson import read


def main(
    chapter: Annotated[str, typer.Option(help="The chapter whose submissions are graded.")] = "01",
    students: Annotated[int, typer.Option(help="Submissions.")] = 1000,
) -> None:
    """Print memory and rate after every hundred submissions."""
    course = Course.find()
    (found,) = course.chapters([chapter])
    with tempfile.TemporaryDirectory() as folder:
        own = Own(Path(folder) / "own", course, found)
        own.hand_in(answers_of(read(found.source), wrong=False), students)
        process, start = psutil.Process(), time.monotonic()
        for done, _ in enumerate(ledger.grade(own.course, [own.chapter], ledger.Options()), start=1):
            if done % 100 == 0:
                seconds, start = time.monotonic() - start, time.monotonic()
                print(f"{done:5}: {process.memory_info().rss / 2**20:.0f} MiB, {100 / seconds:.1f} a second", flush=True)


if __name__ == "__main__":
    typer.run(main)
