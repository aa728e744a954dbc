"""The report on a class: one self-contained page for each chapter, and the same figures as CSV and JSON."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.course import Chapter, Course
from grader.files import write_if_changed
from grader.review.pages import page
from grader.review.papers import Standing, read_classes
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

    Beside it stands <chapter>-similarity.html, with the pairs of answers that resemble each other.
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
        write_if_changed(place.with_suffix(".json"), _json(found).encode())
        write_if_changed(place.with_suffix(".csv"), _csv(found).encode("utf-8-sig"))  # Excel takes it for something else without the mark
        yield Report(found, pairs, place.with_suffix(".html"), resembling)


def folder(course: Course) -> Path:
    """Return where reports lie."""
    return course.gradebook / "report"


def _json(found: ClassFigures) -> str:
    derived = {"students": found.students, "mean": found.mean, "median": found.median, "distribution": found.distribution}
    return json.dumps(dataclasses.asdict(found) | derived, ensure_ascii=False, indent=1)


def _csv(found: ClassFigures) -> str:
    """A line for every exercise, and one for every mistake that was made in it."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    standings = [standing.value for standing in Standing]
    writer.writerow(["exercise", "title", "mistake", "students", "points", "points earned", "discrimination", "seconds", *standings])
    for exercise in found.exercises:
        discrimination = "" if exercise.discrimination is None else f"{exercise.discrimination:.3f}"
        seconds = "" if exercise.seconds is None else f"{exercise.seconds:.3f}"
        writer.writerow(
            [
                exercise.id,
                no_formula(exercise.title),
                "",
                found.students,
                f"{exercise.points:g}",
                f"{exercise.difficulty:.3f}",
                discrimination,
                seconds,
                *(exercise.standings[standing] for standing in standings),
            ]
        )
        for mistake in exercise.mistakes:
            writer.writerow([exercise.id, no_formula(exercise.title), no_formula(mistake.headline), len(mistake.students)])
        for number, cluster in enumerate(exercise.clusters, start=1):
            writer.writerow([exercise.id, no_formula(exercise.title), f"unknown mistake {number}", len(cluster.students)])
    return text.getvalue()
