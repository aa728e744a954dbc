"""Shows marks in the terminal and writes them as CSV."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from grader.files import write_if_changed
from grader.ledger import Change, Problem, Sheet
from grader.safe_text import no_formula, visible

LINES = 3  # of a check's message


def show_sheets(chapter: str, sheets: Sequence[Sheet], console: Console) -> None:
    """Print the table of a chapter's marks, and below it what each student lost and why."""
    if not sheets:
        console.print(f"{chapter}: no submissions", markup=False)
        return
    exercises = tuple(dict.fromkeys(exercise for sheet in sheets for exercise in sheet.exercises))
    table = Table(title=chapter, title_justify="left")
    table.add_column("student", overflow="fold")
    for exercise in (*exercises, "total"):
        table.add_column(exercise, justify="right", overflow="fold")
    for sheet in sheets:
        table.add_row(Text(visible(sheet.student)), *(_points(*sheet.of(exercise)) for exercise in exercises), _total(sheet))
    console.print(table)
    for sheet in sheets:
        for line in _losses(sheet):
            console.print(visible(line), markup=False)


def show_changes(changes: Sequence[Change], console: Console) -> None:
    """Print whose marks change, and by how much at which check."""
    for change in changes:
        checks = ", ".join(f"{cell} {difference:+g}" for cell, difference in change.checks.items()) or "lateness"
        console.print(visible(f"{change.chapter}: {change.student}: {change.before:g} → {change.after:g} ({checks})"), markup=False)
    if not changes:
        console.print("no mark that was given before changes")


def show_problems(problems: Sequence[Problem], root: Path, console: Console) -> None:
    """Print every problem with student, file and remedy."""
    if not problems:
        return
    console.print(f"{len(problems)} problem{'s' if len(problems) != 1 else ''}:", style="bold")
    for problem in problems:
        style = "red" if problem.ungraded else "yellow"
        path = problem.path.relative_to(root) if problem.path.is_relative_to(root) else problem.path
        console.print(visible(f"  {problem.student}: {path}: {problem.found}"), style=style, markup=False)
        console.print(visible(f"      remedy: {problem.remedy}"), markup=False)


def write_csv(path: Path, sheets: Sequence[Sheet]) -> None:
    """Write a line for every student, chapter and exercise; points that a person has to give yet are left empty."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["chapter", "student", "exercise", "points", "possible"])
    for sheet in sheets:
        student = no_formula(sheet.student)
        for exercise in sheet.exercises:
            points, possible = sheet.of(exercise)
            writer.writerow([sheet.chapter, student, exercise, "" if points is None else f"{points:g}", f"{possible:g}"])
        if sheet.penalty:
            writer.writerow([sheet.chapter, student, "late penalty", f"{-sheet.penalty:g}", "0"])
    write_if_changed(path, text.getvalue().encode("utf-8-sig"))  # Excel takes it for something else without the mark


def _points(points: float | None, possible: float) -> str:
    return f"{'–' if points is None else format(points, 'g')}/{possible:g}"


def _total(sheet: Sheet) -> str:
    late = f" (late: -{sheet.penalty:g})" if sheet.penalty else ""
    return f"{sheet.total:g}/{sheet.possible:g}{late}"


def _losses(sheet: Sheet) -> Iterator[str]:
    """Yield the student's failed checks, those with the same message on one line."""
    by_message: dict[str, list[str]] = defaultdict(list)
    for name, error in sheet.errors.items():
        by_message[f"the answer: {error}"].append(name)
    for mark in sheet.marks:
        if mark.message:
            by_message[mark.message].append(mark.cell)
    if by_message:
        yield f"  {sheet.student}"
    for message, names in by_message.items():
        lines = [line for line in message.strip().splitlines() if line.strip()]
        more = [" …"] if len(lines) > LINES else []
        yield f"    {', '.join(names)}: " + "\n        ".join([*lines[:LINES], *more])
