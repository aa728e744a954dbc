"""Shows how far grading has come: a line that is rewritten, or a line of JSON for every submission."""

from __future__ import annotations

import json
from typing import Self

from rich.console import Console

from grader.ledger import Graded, Progress


class Reporter:
    """Use it as a context manager; tell it of every submission."""

    def __init__(self, progress: Progress, console: Console, *, as_json: bool) -> None:
        self.progress, self.console, self.as_json = progress, console, as_json
        self._status = console.status("starting the workers")

    def __enter__(self) -> Self:
        if not self.as_json:
            self._status.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._status.stop()
        if kind is None and self.as_json:
            self._print({"event": "end", **self._totals()})
        elif kind is None:
            self.console.print(self._line(), markup=False)

    def count(self, graded: Graded) -> None:
        """Take a submission into account, and show it."""
        self.progress.count(graded)
        if not self.as_json:
            self._status.update(self._line())
            return
        problems = [{"found": problem.found, "remedy": problem.remedy} for problem in graded.problems]
        self._print(
            {
                "event": "submission",
                "student": graded.student,
                "chapter": graded.chapter.name,
                "outcome": graded.outcome,
                "problems": problems,
                **self._totals(),
            }
        )

    def _totals(self) -> dict[str, object]:
        left = self.progress.seconds_left
        return {
            "done": self.progress.done,
            "total": self.progress.total,
            "rate": round(self.progress.rate, 3),
            "seconds_left": None if left is None else round(left, 1),
            "outcomes": dict(sorted(self.progress.outcomes.items())),
        }

    def _line(self) -> str:
        progress = self.progress
        parts = [f"graded {progress.done} of {progress.total}", f"{progress.rate:.1f} a second"]
        if progress.seconds_left:
            parts.append(f"{progress.seconds_left:.0f} s left")
        parts += [f"{count} {outcome}" for outcome, count in sorted(progress.outcomes.items())]
        return ", ".join(parts)

    def _print(self, message: dict[str, object]) -> None:
        print(json.dumps(message, ensure_ascii=False), flush=True)
