"""Answers of different students that resemble each other more than chance gives: pairs to look at, never a verdict.

copydetect reads code as MOSS does (Saul Schleimer, Daniel Wilkerson, Alex Aiken, Winnowing: Local Algorithms for Document
Fingerprinting, 2003): names, layout and comments make no difference, and pieces are found wherever they stand. What everybody has
does not count: the pieces of the template and of the lesson's own answers, right and wrong, and those that many of the class have.
"""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

from copydetect import CodeFingerprint, compare_files
from copydetect.utils import get_token_coverage
from markupsafe import Markup, escape

from grader.lesson import Exercise, Lesson
from grader.review.pages import MANY, text
from grader.review.papers import ReadClass, Standing

PIECE = 25  # characters of normalised code that make a piece
WINDOW = 1  # every piece is kept: which ones a longer window keeps is left to chance
COMMON, COMMON_SHARE = 5, 0.1  # a piece that more students have than this, and than this share of the class, is common
# A pair is listed that shares so much of all its code, or nearly all of the code of a few exercises; see `grader.bench.similarity`.
SHARE = 0.8  # of the uncommon code of whoever wrote less of it
LEAST = 150  # characters of normalised code: less may be chance
NEARLY_ALL, ENOUGH = 0.9, 500  # the share of an exercise's uncommon code that makes it a copy; characters in copies, together


@dataclass(frozen=True)
class Shared:
    """What two answers to one exercise share, marked in both."""

    exercise: Exercise
    one: Markup
    other: Markup


@dataclass(frozen=True)
class Pair:
    """Two students, how much uncommon code they share, and the answers in which they do."""

    one: str
    other: str
    characters: int  # of normalised code
    share: float  # of the uncommon code of whoever wrote less of it
    shared: tuple[Shared, ...]


def similar(read: ReadClass) -> list[Pair]:
    """Return the pairs of students who share more uncommon code than chance gives, those who share most first."""
    prints = _prints(read)
    exercises = {exercise.id: exercise for exercise in read.lesson.exercises}
    found = [pair for one, other in _candidates(prints) if (pair := _pair(one, other, prints[one], prints[other], exercises))]
    return sorted(found, key=lambda pair: (-pair.characters, pair.one, pair.other))


Prints = dict[str, CodeFingerprint]  # of one student: exercise → the uncommon pieces of the answer


def fingerprints(lesson: Lesson, answers: Mapping[str, str]) -> Prints:
    """Return the pieces of one person's answers, less those of the lesson's own."""
    return {exercise.id: _fingerprint(answers[exercise.id], _known(exercise)) for exercise in lesson.exercises if exercise.id in answers}


@dataclass(frozen=True)
class Overlap:
    """How much uncommon code two people share, in characters of normalised code."""

    characters: int
    share: float  # of that of whoever wrote less
    copied: int  # the characters of the exercises in which nearly all of it is shared

    @property
    def is_listed(self) -> bool:
        """Whether this is a pair to look at."""
        return (self.characters >= LEAST and self.share >= SHARE) or self.copied >= ENOUGH


def overlap(ours: Prints, theirs: Prints) -> Overlap:
    """Return how much two people share."""
    both = {name: int(compare_files(ours[name], theirs[name])[0]) for name in ours.keys() & theirs.keys()}
    characters = sum(both.values())
    copied = sum(shared for name, shared in both.items() if shared >= NEARLY_ALL * max(1, _least(ours[name], theirs[name])))
    least = min(sum(int(fingerprint.token_coverage) for fingerprint in own.values()) for own in (ours, theirs))
    return Overlap(characters, min(1.0, characters / least) if least else 0.0, copied)


def _least(one: CodeFingerprint, other: CodeFingerprint) -> int:
    return min(int(one.token_coverage), int(other.token_coverage))


def _prints(read: ReadClass) -> dict[str, Prints]:
    sources: defaultdict[str, dict[str, str]] = defaultdict(dict)  # exercise → student → answer
    for answer in read.answers:
        if answer.standing not in (Standing.UNTOUCHED, Standing.NOTHING) and len(shown := text(answer.source)) > PIECE:
            sources[answer.exercise.id][answer.student] = shown
    prints: defaultdict[str, Prints] = defaultdict(dict)
    most = max(COMMON, COMMON_SHARE * len(read.papers))
    for exercise in read.lesson.exercises:
        own = sources[exercise.id]
        count = Counter(piece for source in own.values() for piece in _fingerprint(source).hashes)
        common = _known(exercise) | {piece for piece, students in count.items() if students > most}
        for student, source in own.items():
            prints[student][exercise.id] = _fingerprint(source, common)
    return dict(prints)


def _known(exercise: Exercise) -> set[int]:
    """Return the pieces of the lesson's own answers, and of what a student is given."""
    answers = [exercise.answer.blank, exercise.answer.source, *(cell.source for cell in (*exercise.rights, *exercise.wrongs))]
    return {piece for source in answers if len(source) > PIECE for piece in _fingerprint(source).hashes}


def _fingerprint(source: str, common: Collection[int] = ()) -> CodeFingerprint:
    """Return the pieces of an answer that are not common; copydetect's own way of leaving some out loses those that stand there twice."""
    made = copy(_whole_fingerprint(source))
    made.hash_idx = {piece: places for piece, places in made.hash_idx.items() if piece not in common}
    made.hashes = set(made.hash_idx)
    made.token_coverage = get_token_coverage(made.hash_idx, PIECE, len(made.filtered_code))
    return made


@lru_cache(MANY)
def _whole_fingerprint(source: str) -> CodeFingerprint:
    return CodeFingerprint("answer.py", PIECE, WINDOW, language="python", fp=io.StringIO(source))


def _candidates(prints: dict[str, Prints]) -> list[tuple[str, str]]:
    """Return the pairs that share enough pieces to be looked at closely."""
    holders: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    for student, own in prints.items():
        for exercise, fingerprint in own.items():
            for piece in fingerprint.hashes:
                holders[exercise, piece].append(student)
    together = Counter(pair for students in holders.values() for pair in combinations(students, 2))
    return [pair for pair, pieces in together.items() if pieces >= LEAST - PIECE]


def _pair(one: str, other: str, ours: Prints, theirs: Prints, exercises: dict[str, Exercise]) -> Pair | None:
    found = overlap(ours, theirs)
    if not found.is_listed:
        return None
    parts = []
    for name, exercise in exercises.items():
        if name in ours and name in theirs:
            characters, _, slices = compare_files(ours[name], theirs[name])
            if characters:
                parts.append(Shared(exercise, _marked(ours[name], slices[0]), _marked(theirs[name], slices[1])))
    return Pair(one, other, found.characters, found.share, tuple(parts))


def _marked(fingerprint: CodeFingerprint, slices: Sequence[Sequence[int]]) -> Markup:
    """Return an answer's source with the shared parts marked."""
    return Markup("").join(_parts(fingerprint.raw_code, slices))


def _parts(source: str, slices: Sequence[Sequence[int]]) -> Iterator[Markup]:
    end = 0
    for start, stop in zip(*(map(int, places) for places in slices), strict=True):
        yield escape(source[end:start])
        yield Markup("<mark>{}</mark>").format(source[max(start, end) : stop])
        end = max(end, stop)
    yield escape(source[end:])
