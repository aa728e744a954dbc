"""Proves a chapter's checks: every wrong answer is caught, every right one accepted, and mutants of the reference are killed."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from grader.agreement import differences
from grader.course import Chapter
from grader.errors import GraderError
from grader.lesson import Cell, Exercise, Lesson, Role, read
from grader.mutation import Mutant, mutants, without_return
from grader.rules import require_sound
from grader.trial import Result, Status, Step, Trial, Workshop

NOT_WRITTEN = ("NotImplementedError", "NameError")  # the second where the stub stands in a class that is not there then
SLIP = re.compile("AttributeError: module '.*' has no attribute")
KILL_SHARE = 0.95  # of a chapter's mutants, the explained survivors counted against it
ANSWER_SECONDS = 1.0  # that a student waits for a check
TRIAL_TIMEOUT = 60.0  # seconds for all answers and checks of a chapter
PATIENCE, LEAST_TIMEOUT = 10.0, 3.0  # a mutant may take this many times the reference's time, and this many seconds at least


@dataclass(frozen=True)
class WrongReport:
    """What became of a wrong answer.

    The own checks that it lost, those that it had to lose but did not, others' that it lost, and the slip of the pen for which alone
    it failed, if so.
    """

    id: str
    caught: tuple[str, ...]
    missed: tuple[str, ...]
    disturbed: tuple[str, ...]
    slip: str = ""


@dataclass(frozen=True)
class ExerciseReport:
    """The proof of one exercise."""

    id: str
    points: float
    wrongs: tuple[WrongReport, ...]
    rights: dict[str, dict[str, str]]  # right answer → checks that it lost (none, where all is well) → their messages
    unguarded: dict[str, str]  # visible check that falls over an answer whose `return` is forgotten → how
    alone: tuple[str, ...]  # checks that the reference loses when no other exercise's answer is there
    mutants: int
    unexplained: tuple[Mutant, ...]
    explained: tuple[Mutant, ...]
    stale: tuple[str, ...]  # listed survivors that no mutant is, or that a check kills

    @property
    def killed(self) -> int:
        """How many mutants lost a check."""
        return self.mutants - len(self.unexplained) - len(self.explained)


@dataclass(frozen=True)
class Report:
    """The proof of one chapter."""

    name: str
    exercises: tuple[ExerciseReport, ...]
    places: dict[str, str]  # cell → file:line of it
    refused: dict[str, str] = field(default_factory=dict)  # check that the reference answers lose → the message
    blank_earns: tuple[str, ...] = ()
    blank_blamed: dict[str, str] = field(default_factory=dict)  # visible check that finds another fault than that nothing is written → it
    waits: dict[str, float] = field(default_factory=dict)  # visible check → seconds until it accepts an answer, the least of several tries
    disagreements: tuple[tuple[str, str], ...] = ()  # check → where the engine marks otherwise
    seconds: float = 0.0

    @property
    def mutants(self) -> int:
        """Mutants of all exercises."""
        return sum(exercise.mutants for exercise in self.exercises)

    @property
    def killed(self) -> int:
        """Mutants that lost a check."""
        return sum(exercise.killed for exercise in self.exercises)

    def faults(self) -> Iterator[str]:
        """Yield one line for everything that must not be, with its place and the remedy; none where the chapter is proved."""
        for cell, fault in self._faults():
            yield f"{self.places.get(cell, self.name)}: {fault}"

    def _faults(self) -> Iterator[tuple[str, str]]:
        for check, message in self.refused.items():
            yield check, f"the reference answers lose '{check}': {message}"
        if self.refused:
            return  # whatever else is found follows from it
        for check in self.blank_earns:
            yield check, f"the blank notebook earns '{check}': let the check call the answer"
        for check, message in self.blank_blamed.items():
            what = f"the blank notebook's '{check}' says \"{message[:80]}\""
            yield check, f"{what}: let it raise the NotImplementedError that comes from the answer"
        for check, seconds in self.waits.items():
            if seconds > ANSWER_SECONDS:
                what = f"'{check}' takes {seconds:.1f} s"
                yield check, f"{what}: let it ask for less, a student should wait for {ANSWER_SECONDS:g} s at most"
        yield from self.disagreements
        for exercise in self.exercises:
            yield from _exercise_faults(exercise)
        if self.killed < KILL_SHARE * self.mutants:
            yield "", f"only {self.killed} of {self.mutants} mutants are killed; at least {KILL_SHARE:.0%} must be"


def _exercise_faults(exercise: ExerciseReport) -> Iterator[tuple[str, str]]:
    for wrong in exercise.wrongs:
        for check in wrong.missed:
            what = f"wrong answer '{wrong.id}' is accepted by '{check}', which must catch it"
            yield wrong.id, f"{what}: sharpen the check, or take it out of fails="
        for check in wrong.disturbed:
            yield (
                wrong.id,
                f"wrong answer '{wrong.id}' costs another exercise's check '{check}': undo in its own checks what it does",
            )
        if wrong.slip:
            yield wrong.id, f"wrong answer '{wrong.id}' fails by nothing but a slip of the pen ({wrong.slip}): correct the name"
    for right, lost in exercise.rights.items():
        for check, message in lost.items():
            yield right, f"right answer '{right}' is refused by '{check}'{f': {message}' if message else ''}"
    for check, message in exercise.unguarded.items():
        yield check, f"'{check}' falls over an answer that forgets its `return` ({message[:100]}): assert what came before it is used"
    if exercise.alone:
        yield exercise.id, f"exercise '{exercise.id}' alone, without the other answers, loses {', '.join(exercise.alone)}"
    for mutant in exercise.unexplained:
        what = f"a mutant of '{exercise.id}' survives, and no survives=\"{exercise.id}\" cell lists it: `{mutant.statement}`"
        yield exercise.id, f"{what}: sharpen a check, or list it there with the reason why no check can catch it"
    for statement in exercise.stale:
        yield exercise.id, f'survives="{exercise.id}" lists `{statement}`, which is no surviving mutant: delete the line'


def audits(chapters: Sequence[Chapter], *, split_mutants: bool = True) -> Iterator[Report | GraderError]:
    """Audit a chapter for each core at a time, a single one with all cores; yield the reports, or the errors, in their order."""
    cores = os.cpu_count() or 1
    at_once = max(1, min(cores, len(chapters)))

    def one(chapter: Chapter) -> Report | GraderError:
        try:
            return audit(chapter, cores // at_once, split_mutants=split_mutants)
        except GraderError as error:
            return error

    with ThreadPoolExecutor(at_once) as pool:
        yield from pool.map(one, chapters)


def audit(chapter: Chapter, jobs: int | None = None, *, split_mutants: bool = True) -> Report:
    """Run the whole proof of `chapter`: every answer whole, in processes forked from one that has its setup cells done, and by the engine.

    Without `split_mutants` the engine gets the right, wrong and blank answers alone, which takes half the time.
    Raises LessonError where the source breaks a rule, GraderError where a setup cell fails.
    """
    start = time.perf_counter()
    lesson = read(chapter.source)
    require_sound(lesson)
    jobs = jobs or os.cpu_count() or 1
    setup = [_step(cell) for cell in lesson.with_role(Role.SETUP)]
    with Workshop(chapter.source.parent, setup, jobs) as workshop:
        proof = _Proof(workshop, lesson)
        exercises = tuple(proof.exercise(exercise) for exercise in lesson.exercises)
    refused = {check: proof.reference.outcomes[check].message for check in proof.reference.lost(proof.tests)}
    earned = tuple(check for check in proof.tests if check not in proof.blank.lost(proof.tests))
    said = {check.id: proof.blank.outcomes[check.id].message for check in lesson.with_role(Role.CHECK)}
    blamed = {check: message for check, message in said.items() if check not in earned and not message.startswith(NOT_WRITTEN)}
    waits = {check: proof.seconds(check) for check in said if check not in refused}
    try:
        both_ways = [result for result in proof.results if split_mutants or not result.trial.first_failure]
        disagreements = tuple(differences(chapter, lesson, both_ways, jobs))
    except GraderError as error:  # a check that cannot be split: told with everything else that is wrong
        disagreements = (("", str(error)),)
    places = {cell.id: f"{os.path.relpath(lesson.path, chapter.root)}:{cell.line}" for cell in reversed(lesson.cells) if cell.id}
    return Report(lesson.name, exercises, places, refused, earned, blamed, waits, disagreements, time.perf_counter() - start)


class _Proof:
    """The trials of one lesson, and what came of each."""

    def __init__(self, workshop: Workshop, lesson: Lesson) -> None:
        self.workshop, self.lesson = workshop, lesson
        self.tests = [test.id for exercise in lesson.exercises for test in exercise.tests]
        self.results: list[Result] = []
        blanks = {exercise.id: exercise.answer.blank for exercise in lesson.exercises}
        self.reference, self.blank = self._run([_everything(lesson, {}), _everything(lesson, blanks, "blank")], TRIAL_TIMEOUT)

    def exercise(self, exercise: Exercise) -> ExerciseReport:
        """Try an exercise's wrong and right answers and its mutants."""
        own = [test.id for test in exercise.tests]
        variants = [*exercise.wrongs, *exercise.rights]
        trials = [_one_answer(exercise, cell.source, cell.id) for cell in variants]
        alone, *results = self._run([_one_answer(exercise, exercise.answer.source, f"{exercise.id} alone"), *trials], TRIAL_TIMEOUT)
        lost = {
            cell.id: {check: result.outcomes[check].message for check in result.lost(own)}
            for cell, result in zip(variants, results, strict=True)
        }
        disturbed = self._disturbed(exercise, variants)
        found = mutants(exercise.answer.source)
        seconds = sum(self.reference.outcomes[test].seconds for test in own)
        trials = [_one_answer(exercise, mutant.source, mutant.statement, first_failure=True) for mutant in found]
        outcomes = self._run(trials, max(LEAST_TIMEOUT, PATIENCE * seconds))
        survivors = [mutant for mutant, result in zip(found, outcomes, strict=True) if not result.lost(own)]
        return ExerciseReport(
            id=exercise.id,
            points=exercise.points,
            wrongs=tuple(_wrong_report(cell, lost[cell.id], disturbed.get(cell.id, ())) for cell in exercise.wrongs),
            rights={cell.id: lost[cell.id] | dict.fromkeys(disturbed.get(cell.id, ()), "") for cell in exercise.rights},
            unguarded=self._unguarded(exercise),
            alone=alone.lost(own),
            mutants=len(found),
            unexplained=tuple(mutant for mutant in survivors if mutant.statement not in exercise.survivors),
            explained=tuple(mutant for mutant in survivors if mutant.statement in exercise.survivors),
            stale=tuple(sorted(set(exercise.survivors) - {mutant.statement for mutant in survivors})),
        )

    def _unguarded(self, exercise: Exercise) -> dict[str, str]:
        """Return each visible check that answers a forgotten `return` with an error of its own code, which teaches nothing."""
        trials = [
            _one_answer(exercise, source, f"{exercise.id} without the return of {name}")
            for name, source in without_return(exercise.answer.source)
        ]
        visible = [test.id for test in exercise.tests if test.role is Role.CHECK]
        messages = {check: result.outcomes[check].message for result in self._run(trials, TRIAL_TIMEOUT) for check in result.lost(visible)}
        return {check: message for check, message in messages.items() if not message.startswith(("AssertionError", *NOT_WRITTEN))}

    def seconds(self, check: str) -> float:
        """Return how long a check takes that passes, the least of all trials: other processes are at work beside most of them."""
        outcomes = [result.outcomes[check] for result in self.results if check in result.outcomes]
        return min(outcome.seconds for outcome in outcomes if outcome.status is Status.PASSED)

    def _disturbed(self, exercise: Exercise, variants: Sequence[Cell]) -> dict[str, tuple[str, ...]]:
        """Return what each variant costs other exercises' checks; all are tried together first, as hardly ever one costs anything."""
        others = [test.id for other in self.lesson.exercises if other is not exercise for test in other.tests]
        (together,) = self.workshop.run([_before_the_others(self.lesson, exercise, variants)], TRIAL_TIMEOUT)
        if not together.lost(others):
            return {}
        results = self.workshop.run([_before_the_others(self.lesson, exercise, [cell]) for cell in variants], TRIAL_TIMEOUT)
        return {cell.id: result.lost(others) for cell, result in zip(variants, results, strict=True)}

    def _run(self, trials: Sequence[Trial], timeout: float) -> list[Result]:
        results = self.workshop.run(trials, timeout)
        self.results += results
        return results


def answered(
    chapter: Chapter, lesson: Lesson, answers: Sequence[tuple[str, str]], timeout: float = TRIAL_TIMEOUT
) -> dict[tuple[str, str], Result]:
    """Run answers, each an exercise and a source, beside the exercise's own checks, for `timeout` seconds; return what came of each.

    Raises GraderError where a setup cell fails.
    """
    exercises = {exercise.id: exercise for exercise in lesson.exercises}
    trials = [_one_answer(exercises[name], source, name) for name, source in answers]
    with Workshop(chapter.source.parent, [_step(cell) for cell in lesson.with_role(Role.SETUP)], os.cpu_count() or 1) as workshop:
        return dict(zip(answers, workshop.run(trials, timeout), strict=True))


def _wrong_report(cell: Cell, lost: dict[str, str], disturbed: tuple[str, ...]) -> WrongReport:
    missed = tuple(check for check in cell.fails if check not in lost)
    (message, *others) = {*lost.values()} or {""}
    return WrongReport(cell.id, tuple(lost), missed, disturbed, message if SLIP.match(message) and not others else "")


def _step(cell: Cell) -> Step:
    return Step(cell.id, cell.source)


def _everything(lesson: Lesson, replaced: dict[str, str], label: str = "reference") -> Trial:
    """Every answer and check of the lesson in order, some answers replaced."""
    cells = lesson.with_role(Role.EXERCISE, Role.CHECK, Role.HIDDEN)
    return Trial(label, tuple(Step(cell.id, replaced.get(cell.id, cell.source)) for cell in cells))


def _before_the_others(lesson: Lesson, exercise: Exercise, variants: Sequence[Cell]) -> Trial:
    """Variants of one answer, each with its checks, and then all other answers with theirs."""
    own = [step for cell in variants for step in (Step(exercise.id, cell.source), *map(_step, exercise.tests))]
    others = [cell for other in lesson.exercises if other is not exercise for cell in (other.answer, *other.tests)]
    return Trial(f"variants of {exercise.id}", (*own, *map(_step, others)))


def _one_answer(exercise: Exercise, source: str, label: str, *, first_failure: bool = False) -> Trial:
    """One answer with its own checks, no other answer there."""
    return Trial(label, (Step(exercise.id, source), *(_step(test) for test in exercise.tests)), first_failure)
