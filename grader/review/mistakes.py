"""Which known mistake a failing answer makes, told by what it does: the same checks fail, and the same values come back.

A match is withheld where two of the known mistakes do the same, and where nothing came back that could tell one mistake from another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from grader import engine
from grader.course import Chapter, Course
from grader.engine.behaviour import Behaviour, same
from grader.engine.grade import ChapterGrader
from grader.engine.plan import Plan, plan_of
from grader.files import write_if_changed
from grader.lesson import Cell, Mistake, read
from grader.notebook import instructor_notebook

BATCH = 12  # answers that one process takes; they are the course's own
SECONDS = 3.0  # of processor time, for a cell
Behaviours = Mapping[str, Behaviour]  # check that an answer fails → what it did there


@dataclass(frozen=True)
class Known:
    """A wrong answer of the lesson, what is wrong with it, and what it does at each check that it fails."""

    id: str
    exercise: str
    mistake: Mistake
    behaviours: Behaviours


def known(chapter: Chapter) -> list[Known]:
    """Return the wrong answers of a lesson that fail in the engine.

    What they do is found by running them, which takes some ten seconds, and kept beside the course until the lesson or the engine
    changes.
    """
    lesson = read(chapter.source)
    plan = plan_of(chapter, instructor_notebook(lesson))
    wrongs = [(exercise.id, cell) for exercise in lesson.exercises for cell in exercise.wrongs]
    behaviours = _kept(chapter, _fingerprint(plan, wrongs), plan, wrongs)
    mistakes = {name: mistake for exercise in lesson.exercises for name, mistake in exercise.mistakes.items()}
    return [Known(cell.id, exercise, mistakes[cell.id], behaviours[cell.id]) for exercise, cell in wrongs if behaviours[cell.id]]


def match(mistakes: Sequence[Known], exercise: str, behaviours: Behaviours) -> Known | None:
    """Return the mistake that an answer to `exercise` makes, given what it did at each check that it failed; None when unsure."""
    own = [mistake for mistake in mistakes if mistake.exercise == exercise and alike(mistake.behaviours, behaviours)]
    return own[0] if len(own) == 1 and _telling(behaviours) else None


def alike(one: Behaviours, other: Behaviours) -> bool:
    """Say whether two answers fail the same checks in the same way."""
    return one.keys() == other.keys() and all(same(one[check], other[check]) for check in one)


def behaviours_of(grader: ChapterGrader, plan: Plan, answers: Sequence[tuple[str, str]]) -> Iterator[Behaviours]:
    """Run answers of the course's own, each an exercise and a source, beside the exercise's checks; yield what each does where it fails."""
    papers = []
    for exercise, source in answers:
        checks = [check.step(SECONDS) for check in plan.checks.values() if check.exercise == exercise]
        papers.append([["run", exercise, source, SECONDS, exercise], *checks])
    for first in range(0, len(papers), BATCH):
        for result in grader.ask(papers[first : first + BATCH]):
            yield result.behaviours


def _telling(behaviours: Behaviours) -> bool:
    """Say whether anything came back that another mistake would not have given as well: a value, or an error with its text."""
    return any(len(parts) > 1 for parts in behaviours.values())


def _kept(chapter: Chapter, fingerprint: str, plan: Plan, wrongs: Sequence[tuple[str, Cell]]) -> dict[str, Behaviours]:
    """Return what each wrong answer does, from the file of the last time where that is still true."""
    path = chapter.root / ".grader" / "mistakes" / f"{chapter.name}.json"
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["fingerprint"] == fingerprint:
            return dict(kept["behaviours"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    with ChapterGrader(plan, Course(chapter.root).data) as grader:
        found = behaviours_of(grader, plan, [(exercise, cell.source) for exercise, cell in wrongs])
        behaviours = {cell.id: did for (_, cell), did in zip(wrongs, found, strict=True)}
    with suppress(OSError):  # on a disk that cannot be written the next report takes as long as this one
        write_if_changed(path, json.dumps({"fingerprint": fingerprint, "behaviours": behaviours}).encode())
    return behaviours


def _fingerprint(plan: Plan, wrongs: Sequence[tuple[str, Cell]]) -> str:
    """A digest of what the behaviours depend on: the chapter's checks and wrong answers, and the engine."""
    digest = hashlib.sha256(plan.fingerprint.encode())
    digest.update(repr([(exercise, cell.id, cell.source) for exercise, cell in wrongs]).encode())
    for path in sorted(Path(engine.__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
