"""What a class did, in figures: marks, how hard each exercise is, how well it tells students apart, which mistakes were made."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from grader.engine.grade import TIME_LIMIT
from grader.ledger import Paper
from grader.lesson import Exercise
from grader.review.mistakes import alike
from grader.review.papers import Answer, ReadClass, Standing

FEW = 10  # students; with fewer, a correlation says nothing
BINS = 10  # of the distribution of marks


@dataclass(frozen=True)
class MistakeFigures:
    """A known mistake, and who made it."""

    id: str
    headline: str
    students: tuple[str, ...]


@dataclass(frozen=True)
class Cluster:
    """Answers that fail in the same way, which is none of the known ones; an example, and what the checks say of it."""

    students: tuple[str, ...]
    example: str
    messages: dict[str, str]  # check → message

    @property
    def alone(self) -> bool:
        """Whether only one student made it."""
        return len(self.students) == 1


@dataclass(frozen=True)
class ExerciseFigures:
    """What a class did with one exercise.

    `difficulty` is the mean share of the points that was earned, from 0 to 1: the smaller, the harder. `discrimination` is the
    correlation of its points with those of all other exercises together: near 0, or below, those who know more do no better.
    """

    id: str
    title: str
    points: float
    difficulty: float
    discrimination: float | None  # None where it cannot be told: too few students, or all alike
    standings: dict[str, int]
    seconds: float | None  # of the processor: the median of all that were run
    slowest: tuple[str, float] | None  # who took longest, where that is far above the median
    mistakes: tuple[MistakeFigures, ...]  # the most frequent first
    clusters: tuple[Cluster, ...]  # the largest first


@dataclass(frozen=True)
class Notice:
    """Something that a person should look at."""

    student: str
    found: str


@dataclass(frozen=True)
class ClassFigures:
    """What a class did with one chapter. Totals are after what is taken off for lateness; `open` still waits for marks by hand."""

    chapter: str
    title: str
    possible: float
    totals: dict[str, float]  # by student
    open: tuple[str, ...]
    outcomes: dict[str, int]
    exercises: tuple[ExerciseFigures, ...]
    notices: tuple[Notice, ...]

    @property
    def students(self) -> int:
        """How many handed in."""
        return len(self.totals)

    @property
    def mean(self) -> float:
        """The mean of the totals."""
        return statistics.fmean(self.totals.values()) if self.totals else 0.0

    @property
    def median(self) -> float:
        """The median of the totals."""
        return statistics.median(self.totals.values()) if self.totals else 0.0

    @property
    def distribution(self) -> list[int]:
        """How many students earned 0 to 10 %, 10 to 20 %, … of the points; all of them are in the last."""
        counts = [0] * BINS
        for total in self.totals.values():
            share = max(total, 0.0) / self.possible if self.possible else 0.0
            counts[min(int(share * BINS + 1e-9), BINS - 1)] += 1
        return counts

    @property
    def mistakes(self) -> list[tuple[ExerciseFigures, MistakeFigures]]:
        """All known mistakes that were made, the most frequent first."""
        found = [(exercise, mistake) for exercise in self.exercises for mistake in exercise.mistakes]
        return sorted(found, key=lambda pair: -len(pair[1].students))


def figures(read: ReadClass) -> ClassFigures:
    """Work out the figures of a class."""
    sheets = [paper.sheet for paper in read.papers]
    return ClassFigures(
        chapter=read.chapter.name,
        title=read.lesson.title,
        possible=max((sheet.possible for sheet in sheets), default=0.0),
        totals={sheet.student: max(sheet.total, 0.0) for sheet in sheets},
        open=tuple(sheet.student for sheet in sheets if any(mark.points is None for mark in sheet.marks)),
        outcomes=dict(Counter(_outcome(paper) for paper in read.papers).most_common()),
        exercises=tuple(_exercise(read, exercise) for exercise in read.lesson.exercises),
        notices=tuple(_notices(read)),
    )


def _outcome(paper: Paper) -> str:
    if paper.state:
        return paper.state.outcome
    return "graded" if paper.answers else Standing.NOTHING.value


def _exercise(read: ReadClass, exercise: Exercise) -> ExerciseFigures:
    answers = read.of(exercise)
    times = [answer.seconds for answer in answers if answer.seconds is not None]
    return ExerciseFigures(
        id=exercise.id,
        title=exercise.title,
        points=exercise.points,
        difficulty=statistics.fmean(answer.points for answer in answers) / exercise.points if answers else 0.0,
        discrimination=_discrimination(read, answers),
        standings={standing.value: sum(answer.standing is standing for answer in answers) for standing in Standing},
        seconds=statistics.median(times) if times else None,
        slowest=_slowest(answers, statistics.median(times)) if times else None,
        mistakes=_mistakes(answers),
        clusters=_clusters(answers),
    )


def _discrimination(read: ReadClass, answers: Sequence[Answer]) -> float | None:
    """The corrected item-total correlation, as in Robert L. Ebel and David A. Frisbie, Essentials of Educational Measurement, 1991."""
    if len(answers) < FEW:
        return None
    totals = {paper.sheet.student: sum(mark.points or 0.0 for mark in paper.sheet.marks) for paper in read.papers}
    own = [answer.points for answer in answers]
    others = [totals[answer.student] - answer.points for answer in answers]
    try:
        return statistics.correlation(own, others)
    except statistics.StatisticsError:  # all have the same points
        return None


def _slowest(answers: Sequence[Answer], median: float) -> tuple[str, float] | None:
    slow = max((answer for answer in answers if answer.seconds is not None), key=lambda answer: answer.seconds or 0.0)
    seconds = slow.seconds or 0.0
    return (slow.student, seconds) if seconds > max(1.0, 10 * median) else None


def _mistakes(answers: Sequence[Answer]) -> tuple[MistakeFigures, ...]:
    made: defaultdict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        if answer.mistake:
            made[answer.mistake.id].append(answer)
    found = [
        MistakeFigures(name, those[0].mistake.mistake.headline, tuple(answer.student for answer in those))
        for name, those in made.items()
        if those[0].mistake
    ]
    return tuple(sorted(found, key=lambda mistake: (-len(mistake.students), mistake.id)))


def _clusters(answers: Sequence[Answer]) -> tuple[Cluster, ...]:
    groups: list[list[Answer]] = []
    for answer in answers:
        if answer.standing is not Standing.OTHER or not answer.behaviours:
            continue
        group = next((group for group in groups if _same(group[0], answer)), None)
        if group is None:
            groups.append([answer])
        else:
            group.append(answer)
    groups.sort(key=lambda group: -len(group))
    return tuple(_cluster(group) for group in groups)


def _same(one: Answer, other: Answer) -> bool:
    """Say whether two answers do the same; where their own cells fail, all that the checks see is that a name is missing."""
    return one.error == other.error and alike(one.behaviours, other.behaviours)


def _cluster(group: Sequence[Answer]) -> Cluster:
    example = min(group, key=lambda answer: len(answer.source))  # the shortest shows the mistake best
    own = {example.exercise.id: example.error} if example.error else {}
    messages = own | {mark.cell: mark.message for mark in example.marks if mark.message}
    return Cluster(tuple(answer.student for answer in group), example.source, messages)


def _notices(read: ReadClass) -> Iterator[Notice]:
    """Everything that a person should look at, by student."""
    for paper in read.papers:
        student = paper.sheet.student
        if paper.state and paper.state.outcome != "graded":
            yield Notice(student, f"{paper.state.outcome}: {paper.state.why}")
        elif not paper.answers:
            yield Notice(student, "nothing could be run: `make grade` says why")
        if paper.state and not paper.state.sandboxed:
            yield Notice(student, "graded without a sandbox")
        if paper.state and (slow := [cell for cell, (name, _) in paper.state.failures.items() if name == TIME_LIMIT]):
            yield Notice(student, f"stopped at the time limit: {', '.join(slow)}")
        for found, _ in paper.state.notes if paper.state else []:
            yield Notice(student, found)
        waiting = [mark.cell for mark in paper.sheet.marks if mark.points is None]
        if waiting:
            yield Notice(student, f"waits for a mark by hand: {', '.join(waiting)}")
