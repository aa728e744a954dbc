"""The report on a class: one self-contained page for each chapter, and the same figures as CSV and JSON."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.course import Chapter, Course
from grader.files import write_if_changed
from grader.review.pages import page
from grader.review.papers import ReadClass, Standing, read_classes
from grader.review.similarity import Pair, similar
from grader.review.statistics import FEW, ClassFigures, figures
from grader.safe_text import no_formula

MOST_FREQUENT = 12  # mistakes in the first table; all stand with their exercises
COLOURS = [
    (Standing.RIGHT, "right"),
    (Standing.MISTAKE, "known"),
    (Standing.OTHER, "other"),
    (Standing.UNTOUCHED, "untouched"),
    (Standing.NOTHING, "nothing"),
]


@dataclass(frozen=True)
class Report:
    """What was written about a chapter."""

    figures: ClassFigures
    pairs: list[Pair]
    page: Path
    similarity: Path


def report(course: Course, chapters: Sequence[Chapter]) -> Iterator[Report]:
    """Write gradebook/report/<chapter>.html, .json and .csv for each of `chapters` that somebody handed in; yield each.

    Beside it stand <chapter>-students.csv, a line for each, and <chapter>-similarity.html, with the answers that resemble each other.
    """
    for read in read_classes(course, chapters):
        if not read.papers:
            continue
        chapter = read.chapter
        found, pairs = figures(read), similar(read)
        place = folder(course) / chapter.name
        resembling = place.with_name(f"{chapter.name}-similarity.html")
        html = page(
            "report",
            figures=found,
            number=read.lesson.number,
            colours=COLOURS,
            few=FEW,
            most_frequent=MOST_FREQUENT,
            pairs=pairs,
            similarity_page=resembling.name,
        )
        write_if_changed(place.with_suffix(".html"), html.encode())
        write_if_changed(resembling, page("similarity", title=f"{read.lesson.number} {read.lesson.title}", pairs=pairs).encode())
        write_if_changed(place.with_suffix(".json"), _json(found, pairs).encode())
        for name, rows in ((f"{chapter.name}.csv", _exercises(found)), (f"{chapter.name}-students.csv", _students(read, found))):
            write_if_changed(place.with_name(name), _csv(rows).encode("utf-8-sig"))  # Excel takes it for something else without the mark
        yield Report(found, pairs, place.with_suffix(".html"), resembling)


def folder(course: Course) -> Path:
    """Return where reports lie."""
    return course.gradebook / "report"


def _json(found: ClassFigures, pairs: Sequence[Pair]) -> str:
    derived = {"students": found.students, "mean": found.mean, "median": found.median, "distribution": found.distribution}
    resembling = [
        {
            "students": [pair.one, pair.other],
            "characters": pair.characters,
            "share": pair.share,
            "exercises": [shared.exercise.id for shared in pair.shared],
        }
        for pair in pairs
    ]
    return json.dumps(dataclasses.asdict(found) | derived | {"pairs": resembling}, ensure_ascii=False, indent=1)


def _csv(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([no_formula(value) if isinstance(value, str) else value for value in row] for row in rows)
    return text.getvalue()


def _exercises(found: ClassFigures) -> Iterator[list[object]]:
    """A line for every exercise, and one for every mistake that was made in it."""
    standings = [standing.value for standing in Standing]
    yield ["exercise", "title", "mistake", "students", "points", "points earned", "discrimination", "seconds", *standings]
    for exercise in found.exercises:
        figures = [f"{exercise.points:g}", _number(exercise.difficulty), _number(exercise.discrimination), _number(exercise.seconds)]
        yield [exercise.id, exercise.title, "", found.students, *figures, *(exercise.standings[standing] for standing in standings)]
        for mistake in exercise.mistakes:
            yield [exercise.id, exercise.title, mistake.headline, len(mistake.students)]
        for number, cluster in enumerate(exercise.clusters, start=1):
            yield [exercise.id, exercise.title, f"unknown mistake {number}", len(cluster.students)]


def _students(read: ReadClass, found: ClassFigures) -> Iterator[list[object]]:
    """A line for every student: the total, the points of every exercise and the mistake that is known, what to look at."""
    exercises = read.lesson.exercises
    yield [
        "student",
        "total",
        "possible",
        *(title for exercise in exercises for title in (exercise.id, f"{exercise.id}: mistake")),
        "to look at",
    ]
    for student, total in found.totals.items():
        answers = {answer.exercise.id: answer for answer in read.by(student)}
        columns: list[object] = []
        for exercise in exercises:
            answer = answers[exercise.id]
            columns += [f"{answer.points:g}", answer.mistake.mistake.headline if answer.mistake else ""]
        notices = "; ".join(notice.found for notice in found.notices if notice.student == student)
        yield [student, f"{total:g}", f"{found.possible:g}", *columns, notices]


def _number(value: float | None) -> float | str:
    return "" if value is None else round(value, 3)
