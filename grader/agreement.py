"""Proves that both ways of grading give the same mark: a check run whole beside the answer, and split by the engine.

The audit has run every answer of a lesson the first way. Here the engine grades the same answers, in its sandbox, and where a
check ends otherwise, it is named: it looks at something that does not come back from a question as plain data.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import chain

from grader.course import Chapter, Course
from grader.engine.grade import ChapterGrader
from grader.engine.grade import Result as Split
from grader.engine.plan import Plan, Step, plan_of
from grader.lesson import Lesson
from grader.notebook import instructor_notebook
from grader.trial import Result, Status

ANSWER_SECONDS, LOOP_SECONDS = 3.0, 0.5  # the second for what has not ended in the first way either
BATCH = 12  # answers that one process takes; they are the course's own


REMEDY = (
    "let its questions return plain data, and draw all random inputs before the first of them: after each, the two ways draw other numbers "
    "(see `Checks that split` in CONTRIBUTING.md)"
)


def differences(chapter: Chapter, lesson: Lesson, results: Sequence[Result], jobs: int) -> Iterator[tuple[str, str]]:
    """Yield every check that the engine decides otherwise than `results` do, and how; GraderError where a check cannot be split."""
    plan = plan_of(chapter, instructor_notebook(lesson))
    with ExitStack() as stack:
        graders: queue.Queue[ChapterGrader] = queue.Queue()
        with ThreadPoolExecutor(jobs) as pool:
            for grader in pool.map(lambda _: ChapterGrader(plan, Course(chapter.root).data), range(jobs)):
                graders.put(stack.enter_context(grader))

        def compare(papers: list[_Paper]) -> list[tuple[str, str]]:
            grader = graders.get()
            try:
                return [
                    line
                    for paper, split in zip(papers, grader.ask([paper.steps for paper in papers]), strict=True)
                    for line in paper.compare(split)
                ]
            finally:
                graders.put(grader)

        papers = [paper for result in results if (paper := _Paper(plan, result)).checks]
        batches = [papers[first : first + BATCH] for first in range(0, len(papers), BATCH)]
        found: dict[str, list[str]] = {}
        with ThreadPoolExecutor(jobs) as pool:
            for check, line in chain.from_iterable(pool.map(compare, batches)):
                found.setdefault(check, []).append(line)
    for check, (first, *others) in found.items():
        more = f" (and so with {len(others)} other answers)" if others else ""
        yield check, f"{first}{more}\n    remedy: {REMEDY}"


class _Paper:
    """An answer with the checks that it reached when they were run whole."""

    steps: list[Step]
    checks: list[str]

    def __init__(self, plan: Plan, whole: Result) -> None:
        self.whole, self.steps, self.checks = whole, [], []
        for step in whole.trial.steps:
            check = plan.checks.get(step.id)
            status = whole.outcomes[step.id].status
            if status is Status.SKIPPED:
                break
            seconds = LOOP_SECONDS if status is Status.TIMEOUT else ANSWER_SECONDS
            self.steps.append(check.step(seconds) if check else ["run", step.id, step.source, seconds, step.id])
            if check:
                self.checks.append(step.id)
            if status in (Status.TIMEOUT, Status.CRASHED):
                break

    def compare(self, split: Split) -> Iterator[tuple[str, str]]:
        """Yield every check that ended otherwise, and how."""
        for check in self.checks:
            whole = self.whole.outcomes[check]
            if (whole.status is Status.PASSED) != (check in split.passed):
                ways = [f"{whole.status.value} {whole.message[:200]!r}", str(split.failures.get(check, "passed"))[:200]]
                yield check, f"answer '{self.whole.trial.label}': check '{check}' run whole {ways[0]}; split: {ways[1]}"
